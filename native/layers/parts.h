// Layers that consist of linears and tables. A layer lists these parts; the names of its
// parameters, loading and state() follow from the list.
#pragma once

#include "layers/mlp.h"

namespace latte {

/// A linear of a layer: `<name>weight` and `<name>bias` in a state dict.
struct LinearPart {
  std::string name;  // 'linear_1.'; empty if the layer is this linear
  int64_t in_features = 0, out_features = 0;
  bool bias = true;
  Shape weight_shape = {};     // in a state dict; empty: [out_features, in_features]
  bool keeps_float32 = false;  // whether float32 weights stay float32 in a layer of half types
};

/// A tensor that is added or multiplied element by element.
struct TablePart {
  std::string name;  // in a state dict
  Shape shape;
  bool keeps_float32 = false;  // as that of LinearPart
};

/// The parts of a layer.
struct Parts {
  std::vector<LinearPart> linears;
  std::vector<TablePart> tables;

  /// Adds `<name>linear_1.` [in → hidden] and `<name>linear_2.` [hidden → out], with biases.
  Parts& add_mlp(const std::string& name, int64_t in, int64_t hidden, int64_t out,
                 bool keeps_float32 = false);
};

/// The weights of a layer's parts, by the parts' names.
struct LoadedParts {
  std::map<std::string, std::shared_ptr<const LinearWeights>> linears;
  std::map<std::string, Tensor> tables;  // on the host, in the dtype in which they are kept

  const LinearWeights* linear(const std::string& name) const { return linears.at(name).get(); }
  Mlp mlp(const std::string& name) const {
    return {linears.at(name + "linear_1."), linears.at(name + "linear_2.")};
  }
};

/// The parameters of these parts, for Layer::parameters().
std::vector<Parameter> parameters_of(const Parts& parts);
/// Prepares the weights of `state` on the device; the parts of a layer of `dtype`.
void load_parts(const Parts& parts, Device& device, DType dtype, const StateDict& state,
                LoadedParts& loaded);
/// Copies of the weights on the host, for Layer::state().
StateDict state_of(const Parts& parts, const LoadedParts& loaded);

/// The values of a host tensor as float32.
std::vector<float> as_floats(const TensorView& tensor);
/// A copy of a host tensor, in `dtype`.
Tensor host_copy(const TensorView& tensor, DType dtype);
/// A copy of a host tensor in the device's memory, as float32.
Tensor floats_on(Device& device, const TensorView& host);

/// A layer that consists of parts.
/// @tparam Weights LoadedParts, or a struct derived from it with what prepare() adds.
template <class Weights = LoadedParts>
class ComposedLayer : public Layer {
 public:
  std::vector<Parameter> parameters() const override { return parameters_of(parts_); }
  void load(const StateDict& state) override {
    auto weights = std::make_shared<Weights>();
    load_parts(parts_, device(), dtype(), state, *weights);
    prepare(*weights);
    weights_ = std::move(weights);
  }
  StateDict state() const override { return state_of(parts_, *weights()); }

 protected:
  /// @param name of the layer, in messages.
  ComposedLayer(const char* name, Device& device, DType dtype, Parts parts)
      : Layer(device, dtype), name_(name), parts_(std::move(parts)) {}

  /// Called after the parts were loaded and before they replace the old weights. May throw.
  virtual void prepare(Weights&) const {}
  /// Throws ERR_STATE unless weights were loaded.
  const std::shared_ptr<const Weights>& weights() const { return loaded(weights_, name_); }

 private:
  const char* name_;
  Parts parts_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
