// Timesteps: the sinusoidal timestep projection (get_timestep_embedding).
#pragma once

#include "layers/layer.h"

namespace latte {

/// freq_i = exp(−ln(max_period)·i/(dim/2 − downscale_freq_shift)) for i below dim/2, in float32 and
/// in the reference's order of operations.
std::vector<float> timestep_frequencies(int64_t dim, double downscale_freq_shift,
                                        double max_period);

struct TimestepsConfig {
  int64_t num_channels = 256;
  bool flip_sin_to_cos = true;
  double downscale_freq_shift = 0;
  double scale = 1;
  double max_period = 10000;
};

/// timesteps [N] of any dtype → [N, num_channels] float32.
class Timesteps final : public Layer {
 public:
  Timesteps(Device& device, const TimestepsConfig& config);

  std::vector<Parameter> parameters() const override { return {}; }
  void load(const StateDict&) override {}
  StateDict state() const override { return {}; }
  Plan plan(const std::vector<std::optional<TensorSpec>>& inputs,
            const ForwardOptions& options) override;

  const Sinusoids& sinusoids() const { return *sinusoids_; }
  /// Queues the projection of float32 timesteps [N] into [N, num_channels] of any layer dtype.
  void project(Queue& queue, const TensorView& timesteps, const TensorView& output) const;

 private:
  std::shared_ptr<const Sinusoids> sinusoids_;
};

}  // namespace latte
