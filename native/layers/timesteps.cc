#include "layers/timesteps.h"

#include <cmath>

namespace latte {

std::vector<float> timestep_frequencies(int64_t dim, double downscale_freq_shift,
                                        double max_period) {
  const int64_t half = dim / 2;
  std::vector<float> frequencies(static_cast<size_t>(half));
  const auto log_period = static_cast<float>(-std::log(max_period));
  const auto divisor = static_cast<float>(static_cast<double>(half) - downscale_freq_shift);
  for (int64_t i = 0; i < half; ++i) {
    const float exponent = log_period * static_cast<float>(i);
    // In double and rounded: the nearest float32, whichever libm there is.
    const double power = std::exp(static_cast<double>(exponent / divisor));
    frequencies[static_cast<size_t>(i)] = static_cast<float>(power);
  }
  return frequencies;
}

Timesteps::Timesteps(Device& device, const TimestepsConfig& config)
    : Layer(device, DType::kFloat32),
      config_(config),
      frequencies_(std::make_shared<const std::vector<float>>(timestep_frequencies(
          config.num_channels, config.downscale_freq_shift, config.max_period))) {}

TimestepProjectionArgs Timesteps::projection() const {
  TimestepProjectionArgs args;
  args.frequencies = frequencies_.get();
  args.scale = static_cast<float>(config_.scale);
  args.flip_sin_to_cos = config_.flip_sin_to_cos;
  args.dim = config_.num_channels;
  return args;
}

void Timesteps::project(Queue& queue, const float* timesteps, int64_t count, void* output,
                        DType dtype) const {
  TimestepProjectionArgs args = projection();
  args.timesteps = timesteps;
  args.count = count;
  args.output = output;
  args.dtype = dtype;
  queue.timestep_projection(args);
}

Plan Timesteps::plan(const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions&) {
  const TensorSpec& timesteps = inputs.at(0).value();
  if (timesteps.shape.size() != 1) {
    fail(ErrorCode::kShape, "Timesteps should be a 1d-array, but timesteps has shape ",
         ShowShape{timesteps.shape});
  }
  const int64_t count = timesteps.shape[0];
  Plan plan;
  plan.outputs = {{DType::kFloat32, {count, config_.num_channels}}};
  plan.input_dtypes = {DType::kFloat32};
  plan.run = [self = *this, count](Queue& queue, const Inputs& in, const Outputs& out) {
    const auto* values = static_cast<const float*>(as_dtype(queue, *in[0], DType::kFloat32));
    self.project(queue, values, count, out[0].data, DType::kFloat32);
  };
  return plan;
}

}  // namespace latte
