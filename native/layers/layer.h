// What all layers have in common: named parameters, and a forward that is planned, then run.
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

using StateDict = std::map<std::string, Tensor>;

using Inputs = std::vector<std::optional<TensorView>>;
using Outputs = std::vector<TensorView>;

struct ForwardOptions {
  std::optional<int64_t> batch_size;
  std::optional<DType> hidden_dtype;
  std::optional<int64_t> timestep_seq_len;
};

/// A forward whose inputs were checked: what it will give, and the work itself. It holds on to the
/// weights it was planned with; a later load does not touch it.
struct Plan {
  std::vector<TensorSpec> outputs;
  std::function<void(Queue&, const Inputs&, const Outputs&)> run;
  /// What `run` converts each input to before anything else; it may come in that dtype already.
  std::vector<DType> input_dtypes;
  /// `run` copies between host and device by itself: it takes host inputs as they are, or writes
  /// its results on the host.
  bool takes_host = false, gives_host = false;
};

class Layer {
 public:
  virtual ~Layer() = default;

  Device& device() const { return device_; }
  DType dtype() const { return dtype_; }

  virtual std::vector<Parameter> parameters() const = 0;
  /// Takes new weights, all or none: host tensors under the names of parameters(), whose shapes
  /// were checked.
  virtual void load(const StateDict& state) = 0;
  /// The weights on the host, in the layer's dtype. Throws ERR_STATE if none were loaded.
  virtual StateDict state() const = 0;
  /// Checks the inputs (their data is not looked at). Throws ERR_SHAPE, ERR_DTYPE, ERR_STATE.
  virtual Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
                    const ForwardOptions& options) = 0;

 protected:
  Layer(Device& device, DType dtype) : device_(device), dtype_(dtype) {}

 private:
  Device& device_;
  DType dtype_;
};

/// Checks that `state` holds the required parameters, and each parameter with its shape and a
/// floating dtype.
void check_state(const std::vector<Parameter>& parameters, const StateDict& state);

/// Throws ERR_STATE unless weights were loaded.
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

/// The shape with another last axis.
inline Shape with_features(Shape shape, int64_t features) {
  shape.back() = features;
  return shape;
}

/// The input in another dtype: in scratch memory, or itself if it has that dtype already.
TensorView as_dtype(Queue& queue, const TensorView& input, DType dtype);

/// A dense tensor with its last axis kept and the others as one: [rows, features].
inline TensorView as_rows(TensorView tensor) {
  const int64_t features = tensor.shape.back();
  tensor.shape = {tensor.size() / features, features};
  return tensor;
}

/// `count` elements of a dense tensor.
inline TensorView part_of(const TensorView& of, int64_t begin, int64_t count) {
  void* data = static_cast<char*>(of.data) + static_cast<size_t>(begin) * item_size(of.dtype);
  return {{of.dtype, {count}}, data};
}

/// Fills a tensor with repetitions of its first `filled` elements, in as few copies as doubling
/// takes.
void repeat_elements(Queue& queue, const TensorView& tensor, int64_t filled);

/// Prepares `<prefix>.weight` and, when there, `<prefix>.bias`.
std::shared_ptr<const LinearWeights> load_linear(Device& device, DType dtype,
                                                 const StateDict& state, const std::string& prefix);

/// Puts a linear's weight (as `shape`) and bias back into a state dict.
void save_linear(const LinearWeights& weights, const std::string& prefix, const Shape& shape,
                 StateDict& state);
inline void save_linear(const LinearWeights& weights, const std::string& prefix, StateDict& state) {
  save_linear(weights, prefix, {weights.out_features, weights.in_features}, state);
}

}  // namespace latte
