// One forward, and how it gets to another thread and back.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "binding/environment.h"
#include "layers/layer.h"

namespace latte::binding {

/// The tensors of a forward; absent ones are undefined in JavaScript.
class ForwardArguments {
 public:
  /// Reads both arrays once: whatever they hold, shapes and addresses belong together.
  ForwardArguments(const Napi::Array& inputs, const Napi::Array& outs);

  std::vector<std::optional<TensorSpec>> input_specs() const {
    return {inputs.begin(), inputs.end()};
  }

  std::vector<std::optional<Tensor>> inputs;
  std::vector<Napi::Value> outs;

  bool has_out(size_t i) const { return i < outs.size() && !outs[i].IsUndefined(); }
};

/// Runs a plan on the calling thread; gives an array of the results.
Napi::Array run_now(Napi::Env env, Device& device, Plan plan, const ForwardArguments& arguments);

/// Queues a plan behind the environment's other jobs; gives { promise, cancel }. The caller's
/// arrays are copied before this returns.
Napi::Object run_later(Napi::Env env, Device& device, Plan plan, const ForwardArguments& arguments);

}  // namespace latte::binding
