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

/// The tensors of a forward in JavaScript's hands; absent ones are undefined.
struct ForwardArguments {
  Napi::Array inputs;
  Napi::Array outs;
};

/// The specs of the inputs, for Layer::plan.
std::vector<std::optional<TensorSpec>> input_specs(const Napi::Array& inputs);

/// Runs a plan on the calling thread; gives an array of the results.
Napi::Array run_now(Napi::Env env, Device& device, Plan plan, const ForwardArguments& arguments);

/// Queues a plan behind the environment's other jobs; gives { promise, cancel }. The caller's
/// arrays are copied before this returns.
Napi::Object run_later(Napi::Env env, Device& device, Plan plan, const ForwardArguments& arguments);

}  // namespace latte::binding
