// The tensors of a forward, and how they get to the device that runs it.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <vector>

#include "binding/tensor.h"
#include "layers/layer.h"

namespace latte::binding {

/// What is to run, and where.
struct Forward {
  Device& device;
  Plan plan;
  /// The plan copies between host and device by itself: it takes host inputs as they are, or gives
  /// its results on the host.
  bool takes_host = false;
  bool gives_host = false;
};

/// The tensors of a call; absent ones are undefined in JavaScript.
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

/// A forward with its tensors: all that the thread which runs it needs.
class BoundForward {
 public:
  /// Checks the outs, and allocates the results that have none.
  BoundForward(Forward forward, const ForwardArguments& arguments);

  Device& device() const { return forward_.device; }
  std::vector<std::optional<Tensor>>& inputs() { return inputs_; }
  std::vector<Tensor>& results() { return results_; }
  /// Whether an input has to be copied to the host by its own device first.
  bool is_foreign(const std::optional<Tensor>& input) const;
  void run(Queue& queue);
  /// JavaScript's results; a hole for each that went into an out.
  Napi::Array make_results(Napi::Env env);
  /// Lets go of everything but the results.
  void release();

 private:
  TensorView upload(Queue& queue, const Tensor& host, size_t i);

  Forward forward_;
  std::vector<std::optional<Tensor>> inputs_;
  std::vector<Tensor> results_;
  std::vector<bool> given_;  // results that are outs
  std::vector<std::shared_ptr<Buffer>> converted_;
};

/// The tensor itself, or a copy where it is not on the host; the calling thread waits.
Tensor on_host(const Tensor& tensor);

/// Copies a tensor of a device to host memory that the device gives. The bytes are there when the
/// work is done.
struct CopyOut {
  Tensor from;
  Tensor to;

  explicit CopyOut(Tensor tensor);
  void run(Queue& queue) const { queue.download(from, to.data); }
};

}  // namespace latte::binding
