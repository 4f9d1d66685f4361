// Operations computed by our kernels. Each function returns false if no kernel supports the case;
// then its caller uses aclnn operations.
#include "backend/ascend/kernels/tiling.h"
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// The bytes from the first pixel of a latent to its last.
size_t latent_bytes(const LatentView& latent) {
  const int64_t last = (latent.outer - 1) * latent.outer_stride +
                       (latent.inner - 1) * latent.inner_stride +
                       (latent.channels - 1) * latent.channel_stride;
  return static_cast<size_t>(last + latent.height * latent.width) * item_size(latent.dtype);
}

/// The kernels support square patches of one frame.
bool has_plugin_patch(PatchSize patch) { return patch.frames == 1 && patch.height == patch.width; }

}  // namespace

bool AscendQueue::projects_by_kernel(const TimestepProjectionArgs& args) const {
  return resources_.kernels != nullptr && args.sinusoids->dim >= 2 &&
         timestep_tiling(resources_.cores, args).has_value();
}

bool AscendQueue::plugin_timestep_projection(const TimestepProjectionArgs& args) {
  if (resources_.kernels == nullptr) return false;
  const auto tiling = timestep_tiling(resources_.cores, args);
  if (!tiling) return false;
  const void* frequencies = constant(args.sinusoids->frequencies);
  read(args.timesteps.data, args.timesteps.bytes());
  overwrite(args.output.data, args.output.bytes());
  check(acl_, "latte_timestep_projection",
        resources_.kernels->timestep_projection(resources_.stream, *tiling, args.timesteps.data,
                                                frequencies, args.output.data));
  after("latte_timestep_projection");
  return true;
}

bool AscendQueue::plugin_patchify(const PatchProjectionArgs& args, void* patches) {
  if (resources_.kernels == nullptr || !has_plugin_patch(args.patch)) return false;
  const auto tiling = patchify_tiling(resources_.cores, args.latent, args.patch.width);
  if (!tiling) return false;
  check_cancelled();
  read(args.latent.data, latent_bytes(args.latent));
  check(acl_, "latte_patchify",
        resources_.kernels->patchify(resources_.stream, *tiling, args.latent.data, patches));
  after("latte_patchify");
  return true;
}

const void* AscendQueue::fused_operand_of(const AscendLinearWeights& weights,
                                          const AscendPositions* positions,
                                          const latte_fused_tiling& tiling) {
  // The parts of the tiling on which the operand depends. With a table, the table's grid decides
  // the number of tokens; without one, it decides how many ones the left operand has.
  const FusedLayout layout{positions == nullptr ? 0 : positions->id,
                           positions == nullptr ? tiling.tile_tokens : tiling.tile_rows,
                           tiling.tile_dim};
  auto& operands = weights.fused_operands;
  if (weights.fused_resets != resources_.resets) operands.clear();
  weights.fused_resets = resources_.resets;
  if (const auto found = operands.find(layout); found != operands.end()) {
    return found->second == nullptr ? nullptr : found->second->data();
  }
  const size_t item = item_size(weights.dtype);
  const auto outputs = static_cast<size_t>(weights.out_features);
  std::vector<std::byte> weight(outputs * static_cast<size_t>(weights.in_features) * item);
  std::vector<std::byte> bias(weights.has_bias ? outputs * item : 0);
  weights.unpack(weight.data(), bias.data());
  const std::vector<std::byte> packed =
      fused_operand(tiling, weight.data(), weights.has_bias ? bias.data() : nullptr,
                    positions == nullptr ? nullptr : &*positions->separable);
  std::shared_ptr<Buffer> operand;
  if (!packed.empty()) {
    const TensorSpec spec{weights.dtype, {static_cast<int64_t>(packed.size() / item)}};
    operand = resources_.memory.allocate(spec.bytes());
    copy_to_device({spec, operand->data()}, packed.data());
  }
  constexpr size_t kMostLayouts = 8;
  // Works on the stream may still read the operands that are dropped, so this work keeps them.
  if (operands.size() == kMostLayouts) {
    for (auto& [key, old] : operands) held_.push_back(std::move(old));
    operands.clear();
  }
  const void* data = operand == nullptr ? nullptr : operand->data();
  operands.emplace(layout, std::move(operand));
  return data;
}

bool AscendQueue::fused_patch_projection(const PatchProjectionArgs& args) {
  if (!resources_.fused || !has_plugin_patch(args.patch)) return false;
  const auto& weights = static_cast<const AscendLinearWeights&>(*args.weights);
  const auto* positions = static_cast<const AscendPositions*>(args.positions);
  if (positions != nullptr && !positions->separable) return false;
  if (args.layer_norm || args.channels_first) return false;
  const auto tiling =
      fused_tiling(resources_.cores, args.latent, args.patch.width, weights.out_features,
                   positions == nullptr ? nullptr : &*positions->separable);
  if (!tiling) return false;
  check_cancelled();
  const void* operand = fused_operand_of(weights, positions, *tiling);
  if (operand == nullptr) return false;
  read(args.latent.data, latent_bytes(args.latent));
  overwrite(args.output.data, args.output.bytes());
  check(acl_, "latte_patch_projection",
        resources_.kernels->patch_projection(resources_.stream, *tiling, args.latent.data, operand,
                                             args.output.data));
  after("latte_patch_projection");
  return true;
}

}  // namespace latte::ascend
