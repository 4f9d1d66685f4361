#include "layers/cogvideox_patch_embed.h"

#include <algorithm>

#include "core/position_table.h"
#include "layers/latent.h"

namespace latte {

namespace {

constexpr const char* kPosEmbedding = "pos_embedding";

PatchSize patch_of(const CogVideoXPatchEmbedConfig& config) {
  return {config.patch_size_t > 0 ? config.patch_size_t : 1, config.patch_size, config.patch_size};
}

/// The frames of a latent of `sample_frames` frames of video.
int64_t sample_latent_frames(const CogVideoXPatchEmbedConfig& config) {
  return (config.sample_frames - 1) / config.temporal_compression_ratio + 1;
}

Parts parts_of(const CogVideoXPatchEmbedConfig& config) {
  const int64_t dim = config.embed_dim, p = config.patch_size;
  const int64_t pixels = config.in_channels * patch_of(config).pixels();
  Parts parts;
  if (config.patch_size_t > 0) {
    parts.linears.push_back({"proj.", pixels, dim});
  } else {
    parts.linears.push_back({"proj.", pixels, dim, config.bias, {dim, config.in_channels, p, p}});
  }
  parts.linears.push_back({"text_proj.", config.text_embed_dim, dim});
  if (config.learned_positions) {
    const int64_t tokens =
        sample_latent_frames(config) * (config.sample_height / p) * (config.sample_width / p);
    parts.tables.push_back({kPosEmbedding, {1, config.max_text_seq_length + tokens, dim}});
  }
  return parts;
}

/// Prepares the positions of one frame: `rows` [count, dim].
std::shared_ptr<const PreparedPositions> prepare_frame(Device& device, std::vector<float> rows,
                                                       int64_t count, int64_t dim) {
  PositionTable table;
  table.dim = dim;
  table.whole_rows = count;
  table.whole = std::move(rows);
  return device.prepare_positions(std::move(table));
}

/// A view, without data, of images [B, F, C, H, W]. Throws ERR_SHAPE, ERR_DTYPE.
LatentView view_of(const TensorSpec& images, const CogVideoXPatchEmbedConfig& config, DType dtype) {
  const Shape& shape = images.shape;
  if (shape.size() != 5 || shape[2] != config.in_channels) {
    fail(ErrorCode::kShape, "imageEmbeds must have shape [B, F, ", config.in_channels,
         ", H, W], but has ", ShowShape{shape});
  }
  if (!is_floating(images.dtype)) {
    fail(ErrorCode::kDType, "imageEmbeds must have a floating dtype, but is ",
         dtype_name(images.dtype));
  }
  LatentView view;
  view.dtype = dtype;
  view.outer = shape[0];
  view.inner = shape[1];
  view.channels = shape[2];
  view.height = shape[3];
  view.width = shape[4];
  view.channel_stride = view.height * view.width;
  view.inner_stride = view.channels * view.channel_stride;
  view.outer_stride = view.inner * view.inner_stride;
  const PatchSize patch = patch_of(config);
  check_patch(view, patch, "imageEmbeds");
  const bool divides = view.inner % patch.frames == 0 && view.height % patch.height == 0 &&
                       view.width % patch.width == 0;
  if (config.patch_size_t > 0 && !divides) {
    fail(ErrorCode::kShape, "with patchSizeT frames, rows and columns of imageEmbeds must be ",
         "multiples of ", patch.frames, ", ", patch.height, " and ", patch.width, ", but it has ",
         ShowShape{shape});
  }
  return view;
}

}  // namespace

const SequencePositions::Prepared& SequencePositions::get() {
  std::call_once(once_, [&] { prepared_ = make_(); });
  return prepared_;
}

CogVideoXPatchEmbed::CogVideoXPatchEmbed(Device& device, DType dtype,
                                         const CogVideoXPatchEmbedConfig& config)
    : ComposedLayer("CogVideoXPatchEmbed", device, dtype, parts_of(config)), config_(config) {}

void CogVideoXPatchEmbed::prepare(CogVideoXWeights& loaded) const {
  if (!config_.learned_positions) return;
  const Tensor stored = loaded.tables.at(kPosEmbedding);
  loaded.stored = std::make_shared<SequencePositions>([stored, config = config_,
                                                       &device = device()] {
    const int64_t dim = config.embed_dim, frames = sample_latent_frames(config);
    const int64_t text = config.max_text_seq_length;
    const int64_t tokens = (stored.shape[1] - text) / std::max(frames, int64_t{1});
    const std::vector<float> rows = as_floats(stored);
    SequencePositions::Prepared prepared;
    prepared.text = allocate(device, {stored.dtype, {text, dim}});
    device.copy_in(prepared.text.data, stored.data, prepared.text.bytes());
    for (int64_t frame = 0; frame < frames; ++frame) {
      const auto begin = rows.begin() + (text + frame * tokens) * dim;
      prepared.frames.push_back(prepare_frame(device, {begin, begin + tokens * dim}, tokens, dim));
    }
    return prepared;
  });
}

/// The positions for these images and a text of so many tokens; null if the layer adds none.
std::shared_ptr<SequencePositions> CogVideoXPatchEmbed::positions_for(const LatentView& images,
                                                                      int64_t text_length) {
  if (!config_.positions && !config_.learned_positions) return nullptr;
  const bool same_size =
      images.height == config_.sample_height && images.width == config_.sample_width;
  if (config_.learned_positions && !same_size) {
    fail(ErrorCode::kShape,
         "It is currently not possible to generate videos at a different resolution that the "
         "defaults. imageEmbeds must be ",
         config_.sample_height, " x ", config_.sample_width,
         " with learned positional embeddings, but is ", images.height, " x ", images.width);
  }
  if (text_length != config_.max_text_seq_length) {
    fail(ErrorCode::kShape, "textEmbeds must have maxTextSeqLength = ", config_.max_text_seq_length,
         " tokens with positional embeddings, but has ", text_length);
  }
  const int64_t p = config_.patch_size;
  const Shape tokens = {images.inner, images.height / p, images.width / p};
  if (config_.patch_size_t > 1) {
    fail(ErrorCode::kShape,
         "positional embeddings are for every frame, but patchSizeT = ", config_.patch_size_t,
         " leaves ", images.inner / config_.patch_size_t, " of ", images.inner);
  }
  const int64_t sampled = (images.inner - 1) * config_.temporal_compression_ratio + 1;
  if (config_.learned_positions && sampled == config_.sample_frames) return weights()->stored;
  if (computed_ == nullptr || computed_for_ != tokens) {
    computed_for_ = tokens;
    computed_ = std::make_shared<SequencePositions>([tokens, config = config_, &device = device()] {
      const VideoTable<float> table(config.embed_dim, tokens[0], tokens[1], tokens[2],
                                    config.spatial_interpolation_scale,
                                    config.temporal_interpolation_scale);
      const int64_t count = tokens[1] * tokens[2];
      SequencePositions::Prepared prepared;
      for (int64_t frame = 0; frame < tokens[0]; ++frame) {
        std::vector<float> rows(static_cast<size_t>(count * config.embed_dim));
        table.expand(frame, rows.data());
        prepared.frames.push_back(prepare_frame(device, std::move(rows), count, config.embed_dim));
      }
      return prepared;
    });
  }
  return computed_;
}

Plan CogVideoXPatchEmbed::plan(const std::vector<std::optional<TensorSpec>>& inputs,
                               const ForwardOptions&) {
  const TensorSpec& text = inputs.at(0).value();
  const LatentView images = view_of(inputs.at(1).value(), config_, dtype());
  check_features(text, "textEmbeds", config_.text_embed_dim);
  if (text.shape.size() != 3 || text.shape[0] != images.outer) {
    fail(ErrorCode::kShape, "textEmbeds must have shape [", images.outer, ", L, ",
         config_.text_embed_dim, "], but has ", ShowShape{text.shape});
  }
  const int64_t length = text.shape[1], dim = config_.embed_dim;
  PatchProjectionArgs args;
  args.latent = images;
  args.patch = patch_of(config_);
  const int64_t tokens = args.token_rows() * args.token_columns();
  const int64_t frames = images.inner / args.patch.frames;
  const int64_t rows = length + frames * tokens;

  Plan plan;
  plan.outputs = {{dtype(), {images.outer, rows, dim}}};
  plan.input_dtypes = {dtype(), dtype()};
  plan.run = [weights = weights(), positions = positions_for(images, length), args, length, dim,
              tokens, frames, rows,
              dtype = dtype()](Queue& queue, const Inputs& in, const Outputs& out) {
    const int64_t batch = args.latent.outer;
    if (batch == 0) return;
    // `count` rows of a sample's sequence in the output.
    const auto at = [&](int64_t sample, int64_t row, int64_t count) {
      TensorView part = part_of(out[0], (sample * rows + row) * dim, count * dim);
      part.shape = {count, dim};
      return part;
    };
    const SequencePositions::Prepared* table = positions ? &positions->get() : nullptr;
    LinearArgs text;
    text.output.accumulate = table != nullptr && table->text.buffer != nullptr;
    for (int64_t sample = 0; text.output.accumulate && sample < batch; ++sample) {
      queue.convert(table->text, at(sample, 0, length));
    }
    text.input = as_rows(as_dtype(queue, *in[0], dtype));
    text.weights = weights->linear("text_proj.");
    text.output.data = out[0].data;
    text.output.inner_rows = length;
    text.output.outer_stride = rows * dim;
    text.output.inner_stride = dim;
    if (length > 0) queue.linear(text);

    PatchProjectionArgs projection = args;
    projection.weights = weights->linear("proj.");
    projection.latent.outer = 1;
    const TensorView images = as_dtype(queue, *in[1], dtype);
    const auto project = [&](int64_t sample, int64_t first, int64_t count) {
      const LatentView& all = args.latent;
      projection.latent.inner = count * args.patch.frames;
      projection.latent.data =
          part_of(images, sample * all.outer_stride + first * args.patch.frames * all.inner_stride,
                  0)
              .data;
      projection.output = at(sample, length + first * tokens, count * tokens);
      queue.patch_projection(projection);
    };
    for (int64_t sample = 0; sample < batch; ++sample) {
      // Each frame has positions of its own, so it is a projection of its own. Without positions
      // all frames are one projection.
      if (table == nullptr) project(sample, 0, frames);
      for (int64_t frame = 0; table != nullptr && frame < frames; ++frame) {
        projection.positions = table->frames[static_cast<size_t>(frame)].get();
        project(sample, frame, 1);
      }
    }
  };
  return plan;
}

}  // namespace latte
