#include "layers/patch_embed_3d.h"

#include "layers/latent.h"

namespace latte {

namespace {

Parts parts_of(const PatchEmbed3dConfig& config) {
  const auto& [frames, height, width] = config.patch;
  Parts parts;
  parts.linears = {{"proj.",
                    config.in_channels * config.patch.pixels(),
                    config.embed_dim,
                    config.bias,
                    {config.embed_dim, config.in_channels, frames, height, width}}};
  return parts;
}

}  // namespace

PatchEmbed3d::PatchEmbed3d(Device& device, DType dtype, const PatchEmbed3dConfig& config)
    : ComposedLayer("PatchEmbed3d", device, dtype, parts_of(config)), config_(config) {}

Plan PatchEmbed3d::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                        const ForwardOptions&) {
  const LatentView latent =
      latent_view(inputs.at(0).value(), Frames::kRequired, config_.in_channels, dtype());
  check_patch(latent, config_.patch, "latent");
  PatchProjectionArgs args;
  args.latent = latent;
  args.patch = config_.patch;
  Plan plan;
  plan.outputs = {{dtype(),
                   {latent.outer,
                    latent.inner / config_.patch.frames * args.token_rows() * args.token_columns(),
                    config_.embed_dim}}};
  plan.input_dtypes = {dtype()};
  plan.run = [weights = weights(), args](Queue& queue, const Inputs& in, const Outputs& out) {
    if (args.latent.outer == 0) return;
    PatchProjectionArgs projection = args;
    projection.latent.data = as_dtype(queue, *in[0], args.latent.dtype).data;
    projection.weights = weights->linear("proj.");
    projection.output = out[0];
    queue.patch_projection(projection);
  };
  return plan;
}

}  // namespace latte
