#include "layers/latent.h"

namespace latte {

LatentView latent_view(const TensorSpec& latent, Frames frames, int64_t channels, DType dtype) {
  const Shape& shape = latent.shape;
  const bool video = frames == Frames::kRequired;
  if (shape.size() != 5 && (video || shape.size() != 4)) {
    fail(ErrorCode::kShape, "latent must have shape [B, ", channels, video ? ", F" : "",
         ", H, W], but has ", ShowShape{shape});
  }
  if (!is_floating(latent.dtype)) {
    fail(ErrorCode::kDType, "latent must have a floating dtype, but is ", dtype_name(latent.dtype));
  }
  LatentView view;
  view.dtype = dtype;
  view.outer = shape[0];
  view.channels = shape[1];
  view.inner = shape.size() == 5 ? shape[2] : 1;
  view.height = shape[shape.size() - 2];
  view.width = shape[shape.size() - 1];
  view.inner_stride = view.height * view.width;
  view.channel_stride = view.inner * view.inner_stride;
  view.outer_stride = view.channels * view.channel_stride;
  if (view.channels != channels) {
    fail(ErrorCode::kShape, "latent must have ", channels, " channels, but has shape ",
         ShowShape{shape});
  }
  return view;
}

void check_patch(const LatentView& latent, const PatchSize& patch, const char* name) {
  if (latent.inner >= patch.frames && latent.height >= patch.height &&
      latent.width >= patch.width) {
    return;
  }
  fail(ErrorCode::kShape, name, " must hold at least one patch of ", patch.frames, " x ",
       patch.height, " x ", patch.width, " (frames, rows, columns), but has ", latent.inner, " x ",
       latent.height, " x ", latent.width);
}

}  // namespace latte
