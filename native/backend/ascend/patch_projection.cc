// The patch projection: patches gathered into rows, then a matrix product. Never aclnnConvolution:
// it would compute float32 in fewer bits (docs/ascend-operations.md).
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

struct Patches {
  int64_t images, height, width, tokens, features;
};

Patches patches_of(const PatchProjectionArgs& args) {
  const LatentView& latent = args.latent;
  const int64_t p = args.patch_size;
  Patches patches{};
  patches.images = latent.outer * latent.inner;
  patches.height = latent.height / p;
  patches.width = latent.width / p;
  patches.tokens = patches.images * patches.height * patches.width;
  patches.features = latent.channels * p * p;
  return patches;
}

}  // namespace

/// Without the plugin the gather is one strided copy: [outer, inner, h, w, C, p, p] of the latent
/// into dense rows.
void AscendQueue::gather_patches(const PatchProjectionArgs& args, void* patches) {
  if (plugin_patchify(args, patches)) return;
  const LatentView& latent = args.latent;
  const int64_t p = args.patch_size;
  const Patches size = patches_of(args);
  const OperandView rows = OperandView::dense(
      latent.dtype, {latent.outer, latent.inner, size.height, size.width, latent.channels, p, p},
      patches);
  OperandView pixels = rows;
  pixels.data = const_cast<void*>(latent.data);
  pixels.strides = {latent.outer_stride,
                    latent.inner_stride,
                    p * latent.width,
                    p,
                    latent.channel_stride,
                    latent.width,
                    1};
  copy_view(pixels, rows);
}

void AscendQueue::patch_projection(const PatchProjectionArgs& args) {
  const Patches size = patches_of(args);
  if (size.tokens == 0) return;
  if (fused_patch_projection(args)) return;
  const auto& weights = static_cast<const AscendLinearWeights&>(*args.weights);
  const auto* positions = static_cast<const AscendPositionTable*>(args.positions);
  const DType dtype = weights.dtype;
  const int64_t dim = weights.out_features;
  const auto bytes = [&](int64_t features) {
    return static_cast<size_t>(size.tokens * features) * item_size(dtype);
  };
  int steps = 1 + (args.layer_norm ? 1 : 0) + (positions != nullptr || args.channels_first ? 1 : 0);
  // The last step writes the output.
  const auto target = [&] { return --steps == 0 ? args.output : scratch(bytes(dim)); };

  void* patches = scratch(bytes(size.features));
  gather_patches(args, patches);
  void* tokens = target();
  product(patches, size.tokens, weights, tokens);
  if (args.layer_norm) {
    void* normalised = target();
    normalise(tokens, size.tokens, dim, dtype, args.epsilon, normalised);
    tokens = normalised;
  }
  const int64_t per_image = size.height * size.width;
  const std::vector<int64_t> shape = {size.images, per_image, dim};
  if (positions != nullptr) {
    add_views(OperandView::dense(dtype, shape, tokens),
              OperandView::dense(DType::kFloat32, {positions->rows, dim}, positions->table->data()),
              OperandView::dense(dtype, shape, target()));
  } else if (args.channels_first) {
    OperandView transposed = OperandView::dense(dtype, {size.images, dim, per_image}, tokens);
    transposed.strides = {per_image * dim, 1, dim};
    copy_view(transposed, OperandView::dense(dtype, {size.images, dim, per_image}, target()));
  }
}

}  // namespace latte::ascend
