// Layers made of linears and tables. From the list of these parts follow the parameters' names, how
// weights are loaded, and how they are given back.
#pragma once

#include "layers/timestep_embedding.h"

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
  std::string name;
  Shape shape;
  bool keeps_float32 = false;
};

struct Parts {
  std::vector<LinearPart> linears;
  std::vector<TablePart> tables;

  /// `<name>linear_1` and `<name>linear_2`, with biases.
  Parts& add_mlp(const std::string& name, int64_t in, int64_t hidden, int64_t out,
                 bool keeps_float32 = false);
};

/// The weights of a layer's parts, by the parts' names.
struct LoadedParts {
  std::map<std::string, std::shared_ptr<const LinearWeights>> linears;
  std::map<std::string, Tensor> tables;  // on the host, in the dtype that they are kept in

  const LinearWeights* linear(const std::string& name) const { return linears.at(name).get(); }
  TimestepEmbeddingWeights mlp(const std::string& name) const {
    return {linears.at(name + "linear_1."), linears.at(name + "linear_2."), nullptr};
  }
};

std::vector<Parameter> parameters_of(const Parts& parts);
void load_parts(const Parts& parts, Device& device, DType dtype, const StateDict& state,
                LoadedParts& loaded);
StateDict state_of(const Parts& parts, const LoadedParts& loaded);

/// A host tensor's values as float32.
std::vector<float> as_floats(const TensorView& tensor);
/// A host tensor in a dtype, in memory of its own.
Tensor host_copy(const TensorView& tensor, DType dtype);
/// The values as float32, in the device's memory.
Tensor floats_on(Device& device, const TensorView& host);

/// What all layers of parts share. `Weights` is LoadedParts, or adds what a layer prepares of them.
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

  /// Called when the parts were loaded, before they replace the old weights.
  virtual void prepare(Weights&) const {}
  /// Throws ERR_STATE unless weights were loaded.
  const std::shared_ptr<const Weights>& weights() const { return loaded(weights_, name_); }

 private:
  const char* name_;
  Parts parts_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace latte
