// The base class of layers: named parameters, and a forward that is first planned and then run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace latte {

/// A parameter by its name in a state dict.
struct Parameter {
  std::string name;
  Shape shape;
  bool required = true;
};

/// Tensors by the names of the parameters.
using StateDict = std::map<std::string, Tensor>;

/// The inputs of a forward in the order of the layer's signature; nothing for an optional one that
/// was not given.
using Inputs = std::vector<std::optional<TensorView>>;
using Outputs = std::vector<TensorView>;

/// The options of all layers' forwards. A layer ignores those that it does not have.
struct ForwardOptions {
  std::optional<int64_t> batch_size;        // of the layers with sizes: resolution, aspect ratio
  std::optional<DType> hidden_dtype;        // of the layers with sinusoids: their results' dtype
  std::optional<int64_t> timestep_seq_len;  // of WanTimeTextImageEmbedding
  // Of the layers with sums, for plans: the rows of the inputs beside the timesteps. Each timestep
  // is a step of these rows.
  std::optional<int64_t> rows_per_step;
};

/// A forward whose inputs were checked: the dtypes and shapes of its outputs, and its operations. A
/// plan keeps the weights that the layer had when it was planned; a later load() does not change
/// it.
struct Plan {
  std::vector<TensorSpec> outputs;
  std::function<void(Queue&, const Inputs&, const Outputs&)> run;
  /// The dtype to which `run` converts each input first. The caller may convert an input to it
  /// before: `run` accepts both.
  std::vector<DType> input_dtypes;
  /// Whether `run` itself copies between host and device: takes_host, its inputs may be host
  /// tensors; gives_host, its outputs are host tensors.
  bool takes_host = false, gives_host = false;
};

/// A layer on one device. Its functions are called on one thread; `run` of its plans on others,
/// too.
class Layer {
 public:
  virtual ~Layer() = default;

  Device& device() const { return device_; }
  DType dtype() const { return dtype_; }

  virtual std::vector<Parameter> parameters() const = 0;
  /// Replaces all weights; if it throws, it replaces none. `state` holds host tensors that passed
  /// check_state().
  virtual void load(const StateDict& state) = 0;
  /// Copies of the weights on the host, in the dtypes in which the layer keeps them. Throws
  /// ERR_STATE if none were loaded.
  virtual StateDict state() const = 0;
  /// Checks the dtypes and shapes of the inputs. Throws ERR_VALUE, ERR_SHAPE, ERR_DTYPE, ERR_STATE.
  virtual Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
                    const ForwardOptions& options) = 0;

 protected:
  Layer(Device& device, DType dtype) : device_(device), dtype_(dtype) {}

 private:
  Device& device_;
  DType dtype_;
};

/// Throws ERR_STATE, ERR_SHAPE or ERR_DTYPE unless `state` holds all required parameters, and all
/// of its parameters have their shape and a floating dtype.
void check_state(const std::vector<Parameter>& parameters, const StateDict& state);

/// Returns `weights`. Throws ERR_STATE if none were loaded; `layer` is the name in the message.
template <class Weights>
const std::shared_ptr<const Weights>& loaded(const std::shared_ptr<const Weights>& weights,
                                             const char* layer) {
  if (weights == nullptr) {
    fail(ErrorCode::kState, layer, " has no weights yet: call loadStateDict first");
  }
  return weights;
}

/// Throws ERR_SHAPE unless the input is [..., features], and ERR_DTYPE unless it is floating.
void check_features(const TensorSpec& input, const char* name, int64_t features);

/// The shape with a last axis of `features`.
inline Shape with_features(Shape shape, int64_t features) {
  shape.back() = features;
  return shape;
}

/// The input in another dtype: in scratch memory, or itself if it has that dtype already.
TensorView as_dtype(Queue& queue, const TensorView& input, DType dtype);

/// A dense tensor [..., features] as [rows, features].
inline TensorView as_rows(TensorView tensor) {
  const int64_t features = tensor.shape.back();
  tensor.shape = {tensor.size() / features, features};
  return tensor;
}

/// Elements begin … begin + count − 1 of a dense tensor, as [count].
inline TensorView part_of(const TensorView& of, int64_t begin, int64_t count) {
  void* data = static_cast<char*>(of.data) + static_cast<size_t>(begin) * item_size(of.dtype);
  return {{of.dtype, {count}}, data};
}

/// Fills a dense tensor with repetitions of its first `filled` elements. Each copy doubles what is
/// filled, so there are few of them.
void repeat_elements(Queue& queue, const TensorView& tensor, int64_t filled);

/// Prepares `<prefix>.weight` and, if there is one, `<prefix>.bias`.
std::shared_ptr<const LinearWeights> load_linear(Device& device, DType dtype,
                                                 const StateDict& state, const std::string& prefix);

/// Puts a linear's weight, with shape `shape`, and its bias into a state dict.
void save_linear(const LinearWeights& weights, const std::string& prefix, const Shape& shape,
                 StateDict& state);
inline void save_linear(const LinearWeights& weights, const std::string& prefix, StateDict& state) {
  save_linear(weights, prefix, {weights.out_features, weights.in_features}, state);
}

}  // namespace latte
