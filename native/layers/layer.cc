#include "layers/layer.h"

#include <algorithm>

#include "backend/registry.h"

namespace latte {

void check_state(const std::vector<Parameter>& parameters, const StateDict& state) {
  for (const Parameter& parameter : parameters) {
    const auto found = state.find(parameter.name);
    if (found == state.end()) {
      if (parameter.required) {
        fail(ErrorCode::kState, "the state dict lacks '", parameter.name, "' ",
             ShowShape{parameter.shape});
      }
      continue;
    }
    if (found->second.shape != parameter.shape) {
      fail(ErrorCode::kShape, "'", parameter.name, "' must have shape ", ShowShape{parameter.shape},
           ", but has ", ShowShape{found->second.shape});
    }
    if (!is_floating(found->second.dtype)) {
      fail(ErrorCode::kDType, "'", parameter.name, "' must have a floating dtype, but is ",
           dtype_name(found->second.dtype));
    }
  }
}

void check_features(const TensorSpec& input, const char* name, int64_t features) {
  if (input.shape.empty() || input.shape.back() != features) {
    fail(ErrorCode::kShape, name, " must have shape [..., ", features, "], but has ",
         ShowShape{input.shape});
  }
  if (!is_floating(input.dtype)) {
    fail(ErrorCode::kDType, name, " must have a floating dtype, but is ", dtype_name(input.dtype));
  }
}

TensorView as_dtype(Queue& queue, const TensorView& input, DType dtype) {
  if (input.dtype == dtype) return input;
  TensorView converted = queue.scratch_tensor({dtype, input.shape});
  queue.convert(input, converted);
  return converted;
}

void repeat_elements(Queue& queue, const TensorView& tensor, int64_t filled) {
  const int64_t size = tensor.size();
  while (filled < size) {
    const int64_t count = std::min(filled, size - filled);
    queue.convert(part_of(tensor, 0, count), part_of(tensor, filled, count));
    filled += count;
  }
}

std::shared_ptr<const LinearWeights> load_linear(Device& device, DType dtype,
                                                 const StateDict& state,
                                                 const std::string& prefix) {
  const auto bias = state.find(prefix + ".bias");
  return device.prepare_linear(state.at(prefix + ".weight"),
                               bias == state.end() ? nullptr : &bias->second, dtype);
}

void save_linear(const LinearWeights& weights, const std::string& prefix, const Shape& shape,
                 StateDict& state) {
  Tensor weight = allocate_on_host({weights.dtype, shape});
  Tensor bias;
  if (weights.has_bias) bias = allocate_on_host({weights.dtype, {weights.out_features}});
  weights.unpack(weight.data, bias.data);
  state[prefix + ".weight"] = std::move(weight);
  if (weights.has_bias) state[prefix + ".bias"] = std::move(bias);
}

}  // namespace latte
