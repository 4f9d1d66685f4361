#include "layers/parts.h"

#include <cstring>

#include "backend/registry.h"

namespace latte {

namespace {

Shape weight_shape(const LinearPart& part) {
  return part.weight_shape.empty() ? Shape{part.out_features, part.in_features} : part.weight_shape;
}

/// The dtype in which a layer of `dtype` keeps a part that the state dict has in `stored`.
DType kept_dtype(Device& device, DType dtype, DType stored, bool keeps_float32) {
  if (!keeps_float32 || stored != DType::kFloat32 || dtype == DType::kFloat32) return dtype;
  try {
    device.check_dtype(DType::kFloat32);
  } catch (const Error&) {
    return dtype;  // the first Ascend 910 and the 310P have no float32 products
  }
  return DType::kFloat32;
}

}  // namespace

Parts& Parts::add_mlp(const std::string& name, int64_t in, int64_t hidden, int64_t out,
                      bool keeps_float32) {
  linears.push_back({name + "linear_1.", in, hidden, true, {}, keeps_float32});
  linears.push_back({name + "linear_2.", hidden, out, true, {}, keeps_float32});
  return *this;
}

std::vector<Parameter> parameters_of(const Parts& parts) {
  std::vector<Parameter> parameters;
  for (const LinearPart& part : parts.linears) {
    parameters.push_back({part.name + "weight", weight_shape(part)});
    if (part.bias) parameters.push_back({part.name + "bias", {part.out_features}});
  }
  for (const TablePart& part : parts.tables) parameters.push_back({part.name, part.shape});
  return parameters;
}

void load_parts(const Parts& parts, Device& device, DType dtype, const StateDict& state,
                LoadedParts& loaded) {
  for (const LinearPart& part : parts.linears) {
    const Tensor& weight = state.at(part.name + "weight");
    loaded.linears[part.name] =
        device.prepare_linear(weight, part.bias ? &state.at(part.name + "bias") : nullptr,
                              kept_dtype(device, dtype, weight.dtype, part.keeps_float32));
  }
  for (const TablePart& part : parts.tables) {
    const Tensor& table = state.at(part.name);
    loaded.tables[part.name] =
        host_copy(table, kept_dtype(device, dtype, table.dtype, part.keeps_float32));
  }
}

StateDict state_of(const Parts& parts, const LoadedParts& loaded) {
  StateDict state;
  for (const LinearPart& part : parts.linears) {
    const LinearWeights& weights = *loaded.linear(part.name);
    Tensor weight = allocate_on_host({weights.dtype, weight_shape(part)});
    Tensor bias;
    if (part.bias) bias = allocate_on_host({weights.dtype, {part.out_features}});
    weights.unpack(weight.data, bias.data);
    state[part.name + "weight"] = std::move(weight);
    if (part.bias) state[part.name + "bias"] = std::move(bias);
  }
  // Copies, so that writes of the caller do not change the layer.
  for (const TablePart& part : parts.tables) {
    const Tensor& table = loaded.tables.at(part.name);
    state[part.name] = host_copy(table, table.dtype);
  }
  return state;
}

std::vector<float> as_floats(const TensorView& tensor) {
  std::vector<float> floats(static_cast<size_t>(tensor.size()));
  const TensorView to{{DType::kFloat32, tensor.shape}, floats.data()};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, to); });
  return floats;
}

Tensor host_copy(const TensorView& tensor, DType dtype) {
  Tensor copy = allocate_on_host({dtype, tensor.shape});
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, copy); });
  return copy;
}

Tensor floats_on(Device& device, const TensorView& host) {
  const std::vector<float> floats = as_floats(host);
  Tensor there = allocate(device, {DType::kFloat32, host.shape});
  if (there.bytes() > 0) device.copy_in(there.data, floats.data(), there.bytes());
  return there;
}

}  // namespace latte
