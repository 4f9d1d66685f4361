// patch_projection: by the fused kernel, or by gathering the patches into rows and a matrix
// product. aclnnConvolution is not used: it would compute float32 in fewer bits
// (docs/ascend-operations.md).
#include <algorithm>

#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// How many images go through the operations at a time. With few enough, what one operation writes
/// is still in the L2 cache when the next one reads it. A quarter of the cache is left to other
/// operands. Pieces are as few as possible, since each reads the position table again, and of about
/// equal size.
int64_t images_of_piece(int64_t images, int64_t bytes_of_image, int64_t l2_bytes) {
  const int64_t piece_bytes = l2_bytes / 4 * 3;
  const int64_t pieces = std::max(int64_t{1}, (images * bytes_of_image - 1) / piece_bytes + 1);
  return (images - 1) / std::min(pieces, images) + 1;
}

}  // namespace

/// Without the plugin's kernel the gather is one strided copy: [outer, inner, h, w, C, p, p] of the
/// latent into dense rows. Patches of several frames have one more axis: [outer, images, h, w, C,
/// frames, height, width]. aclnn takes no more than these eight axes.
void AscendQueue::gather_patches(const PatchProjectionArgs& args, void* patches) {
  if (plugin_patchify(args, patches)) return;
  const LatentView& latent = args.latent;
  const PatchSize& patch = args.patch;
  std::vector<int64_t> axes = {latent.outer, latent.inner / patch.frames, args.token_rows(),
                               args.token_columns(), latent.channels};
  std::vector<int64_t> strides = {latent.outer_stride, latent.inner_stride * patch.frames,
                                  latent.width * patch.height, patch.width, latent.channel_stride};
  const auto add_axis = [&](int64_t length, int64_t stride) {
    axes.push_back(length);
    strides.push_back(stride);
  };
  if (patch.frames > 1) add_axis(patch.frames, latent.inner_stride);
  add_axis(patch.height, latent.width);
  add_axis(patch.width, 1);
  const OperandView rows = OperandView::dense(latent.dtype, std::move(axes), patches);
  OperandView pixels = rows;
  pixels.data = const_cast<void*>(latent.data);
  pixels.strides = std::move(strides);
  pixels.storage = (latent.outer - 1) * latent.outer_stride +
                   (latent.inner - 1) * latent.inner_stride +
                   (latent.channels - 1) * latent.channel_stride + latent.height * latent.width;
  copy_view(pixels, rows);
}

/// For half types without the plugin the table is rounded once and kept. CANN computes an addition
/// of mixed types by two kernels with float32 between them (docs/ascend-operations.md).
OperandView AscendQueue::addend(const AscendPositions& positions, DType dtype) {
  const std::vector<int64_t> shape = {positions.rows, positions.dim};
  if (dtype == DType::kFloat32 || resources_.kernels != nullptr) {
    return OperandView::dense(DType::kFloat32, shape, positions.whole->data());
  }
  if (positions.rounded_resets != resources_.resets) positions.rounded.clear();
  positions.rounded_resets = resources_.resets;
  auto& rounded = positions.rounded[dtype];
  if (rounded == nullptr) {
    TensorView exact, to;
    exact.shape = to.shape = shape;
    exact.data = positions.whole->data();
    to.dtype = dtype;
    auto buffer = resources_.memory.allocate(to.bytes());
    to.data = buffer->data();
    convert(exact, to);
    rounded = std::move(buffer);
  }
  return OperandView::dense(dtype, shape, rounded->data());
}

void AscendQueue::patch_projection(const PatchProjectionArgs& args) {
  const int64_t images_in_all = args.images();
  const int64_t per_image = args.token_rows() * args.token_columns();
  const int64_t tokens_in_all = images_in_all * per_image;
  if (tokens_in_all == 0) return;
  if (fused_patch_projection(args)) return;
  const auto& weights = static_cast<const AscendLinearWeights&>(*args.weights);
  const auto* positions = static_cast<const AscendPositions*>(args.positions);
  const DType dtype = weights.dtype;
  const int64_t dim = weights.out_features;
  const int64_t depth = weights.in_features;
  const auto bytes = [&](int64_t rows, int64_t features) {
    return static_cast<size_t>(rows * features) * item_size(dtype);
  };
  const auto at = [&](void* data, int64_t row, int64_t features) -> void* {
    return static_cast<char*>(data) + bytes(row, features);
  };
  void* patches = scratch(bytes(tokens_in_all, depth));
  gather_patches(args, patches);

  const bool one_step = positions == nullptr && !args.layer_norm && !args.channels_first;
  OperandView table;
  if (positions != nullptr) table = addend(*positions, dtype);
  const int steps = 1 + (args.layer_norm ? 1 : 0) + (args.channels_first ? 1 : 0);
  // The bytes in use per image: a step's input and output, plus a float32 copy if the sum has mixed
  // types.
  const bool mixed = positions != nullptr && table.dtype != acl_dtype(dtype);
  const int64_t alive = (steps > 1 ? 2 : 1) + (mixed ? 2 : 0);
  const int64_t image_bytes = static_cast<int64_t>(bytes(per_image, dim)) * alive;
  const int64_t piece =
      one_step ? images_in_all : images_of_piece(images_in_all, image_bytes, resources_.l2_bytes);
  // Each step but the last writes scratch memory; the last writes the output. The addition of
  // positions is in place, so it is no step.
  std::vector<void*> between;
  for (int step = 1; step < steps; ++step)
    between.push_back(scratch(bytes(piece * per_image, dim)));
  for (int64_t first = 0; first < images_in_all; first += piece) {
    const int64_t images = std::min(piece, images_in_all - first), rows = images * per_image;
    void* output = at(args.output.data, first * per_image, dim);
    size_t step = 0;
    const auto target = [&] { return step == between.size() ? output : between[step++]; };
    void* tokens = target();
    product(at(patches, first * per_image, depth), rows, weights, tokens);
    if (args.layer_norm) {
      void* normalised = target();
      LayerNormArgs norm;
      norm.x = {{dtype, {rows, dim}}, tokens};
      norm.epsilon = args.epsilon;
      normalise(norm, normalised);
      tokens = normalised;
    }
    if (positions != nullptr) {
      const OperandView sum = OperandView::dense(dtype, {images, per_image, dim}, tokens);
      add_views(sum, table, sum);
    }
    if (args.channels_first) {
      OperandView transposed = OperandView::dense(dtype, {images, dim, per_image}, tokens);
      transposed.strides = {per_image * dim, 1, dim};
      copy_view(transposed, OperandView::dense(dtype, {images, dim, per_image}, output));
    }
  }
}

}  // namespace latte::ascend
