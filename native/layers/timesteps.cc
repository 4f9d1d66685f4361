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
    // Computed in double and rounded: that is the nearest float32 with every libm.
    const double power = std::exp(static_cast<double>(exponent / divisor));
    frequencies[static_cast<size_t>(i)] = static_cast<float>(power);
  }
  return frequencies;
}

namespace {

Sinusoids sinusoids_of(const TimestepsConfig& config) {
  return {timestep_frequencies(config.num_channels, config.downscale_freq_shift, config.max_period),
          static_cast<float>(config.scale), config.flip_sin_to_cos, config.num_channels};
}

}  // namespace

Timesteps::Timesteps(Device& device, const TimestepsConfig& config)
    : Layer(device, DType::kFloat32),
      sinusoids_(std::make_shared<const Sinusoids>(sinusoids_of(config))) {}

void Timesteps::project(Queue& queue, const TensorView& timesteps, const TensorView& output) const {
  TimestepProjectionArgs args;
  args.timesteps = timesteps;
  args.sinusoids = sinusoids_.get();
  args.output = output;
  queue.timestep_projection(args);
}

Plan Timesteps::plan(const std::vector<std::optional<TensorSpec>>& inputs, const ForwardOptions&) {
  const TensorSpec& timesteps = inputs.at(0).value();
  if (timesteps.shape.size() != 1) {
    fail(ErrorCode::kShape, "Timesteps should be a 1d-array, but timesteps has shape ",
         ShowShape{timesteps.shape});
  }
  Plan plan;
  plan.outputs = {{DType::kFloat32, {timesteps.shape[0], sinusoids_->dim}}};
  plan.input_dtypes = {DType::kFloat32};
  plan.run = [self = *this](Queue& queue, const Inputs& in, const Outputs& out) {
    self.project(queue, as_dtype(queue, *in[0], DType::kFloat32), out[0]);
  };
  return plan;
}

}  // namespace latte
