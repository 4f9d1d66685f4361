#include "backend/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/patch_projection.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/convert.h"
#include "backend/cpu/gemm-inl.h"
#include "backend/cpu/linear_weights.h"
#include "backend/cpu/norm-inl.h"
#include "backend/cpu/operations.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

/// Gather, product, bias, (layer norm,) position and store in one pass over the output.
template <class T>
class PatchKernel {
 public:
  PatchKernel(const PatchProjectionArgs& args, Context& context)
      : args_(args),
        context_(context),
        weights_(as_cpu(*args.weights)),
        positions_(args.positions ? &static_cast<const CpuPositionTable*>(args.positions)->table
                                  : nullptr),
        depth_(weights_.in_features),
        dim_(weights_.out_features),
        panels_(panel_count(dim_)),
        height_(args.latent.height / args.patch_size),
        width_(args.latent.width / args.patch_size),
        tokens_(height_ * width_),
        rows_(args.latent.outer * args.latent.inner * tokens_) {}

  void run() {
    latent_ = float_latent();
    const double bytes = static_cast<double>(rows_ * dim_) * sizeof(T);
    const double products = static_cast<double>(rows_ * dim_) * static_cast<double>(depth_);
    const int threads = Context::threads_for(std::max(bytes / 8, products / 16));
    stream_ = bytes >= kStreamBytes && !args_.channels_first &&
              reinterpret_cast<uintptr_t>(args_.output) % 64 == 0 &&
              static_cast<size_t>(dim_) * sizeof(T) % (kLanes * sizeof(T)) == 0;
    // A layer norm holds a block's rows as float32 until it knows their variance.
    const int64_t most_rows = args_.layer_norm ? 2 * kTileRows : 8 * kTileRows;
    const int64_t share = (rows_ / (int64_t{4} * threads) + kTileRows - 1) / kTileRows * kTileRows;
    block_rows_ = std::clamp<int64_t>(share, kTileRows, most_rows);
    const int64_t blocks = (rows_ + block_rows_ - 1) / block_rows_;
    context_.parallel_for(blocks, threads, [&](int64_t i) {
      Block block(*this, i * block_rows_, std::min(block_rows_, rows_ - i * block_rows_));
      block.run();
      if (stream_) hwy::FlushStream();  // each thread's own stores, before it reports
    });
  }

 private:
  /// Where a token's row goes, and where its position comes from: `low` serves the first half of
  /// the channels, `high` the second.
  struct Token {
    const float* latent;
    T* output;
    const float* low;
    const float* high;
  };

  class Block {
   public:
    Block(const PatchKernel& kernel, int64_t first, int64_t rows)
        : kernel_(kernel), first_(first), rows_(rows) {}

    void run() {
      const int64_t depth = kernel_.depth_;
      const int64_t padded = kernel_.panels_ * kPanel;
      const bool norm = kernel_.args_.layer_norm;
      const int64_t tile_floats = (rows_ * std::max<int64_t>(depth, 1) + 15) / 16 * 16;
      const int64_t partial_floats = depth > kBlockK ? rows_ * padded : 0;
      const int64_t norm_floats = norm ? rows_ * padded : 0;
      const auto memory = memory_pool().allocate(
          static_cast<size_t>(tile_floats + partial_floats + norm_floats) * sizeof(float));
      auto* tiles = static_cast<float*>(memory->data());
      float* partial = tiles + tile_floats;
      unnormalised_ = partial + partial_floats;
      for (int64_t row = 0; row < rows_; ++row) tokens_[row] = kernel_.token(first_ + row);
      for (int64_t row = 0, rows; row < rows_; row += rows) {
        rows = next_tile(rows_ - row);
        gather(row, rows, tiles + row * depth);
      }
      const Piece<T> piece{
          tiles, rows_,           depth,  static_cast<const T*>(kernel_.weights_.panels->data()),
          0,     kernel_.panels_, partial};
      if (kernel_.args_.channels_first) {
        multiply_piece(piece, kBlockK, EmitColumns{this});
      } else if (norm) {
        multiply_piece(piece, kBlockK, EmitUnnormalised{this});
        for (int64_t row = 0; row < rows_; ++row) finish_normalised(row);
      } else if (kernel_.stream_) {
        multiply_piece(piece, kBlockK, EmitRow<true>{this});
      } else {
        multiply_piece(piece, kBlockK, EmitRow<false>{this});
      }
    }

   private:
    /// tile[k][r] with k = (channel, patch row, patch column): the order of the weights.
    void gather(int64_t first_row, int64_t rows, float* tile) const {
      const LatentView& latent = kernel_.args_.latent;
      const int64_t patch = kernel_.args_.patch_size;
      for (int64_t r = 0; r < rows; ++r) {
        float* to = tile + r;
        for (int64_t c = 0; c < latent.channels; ++c) {
          const float* from = tokens_[first_row + r].latent + c * latent.channel_stride;
          for (int64_t y = 0; y < patch; ++y, from += latent.width) {
            for (int64_t x = 0; x < patch; ++x, to += rows) *to = from[x];
          }
        }
      }
    }

    HWY_INLINE V with_bias(V sum, int64_t column) const {
      const V value = hn::Add(sum, hn::LoadU(df, kernel_.weights_.bias.data() + column));
      return rounded<T>(value);  // the convolution's own result has the layer's dtype
    }

    /// Adds the position and stores kLanes channels, or what is left of them.
    template <bool kStream>
    HWY_INLINE void finish(const Token& token, int64_t column, V value) const {
      const int64_t half = kernel_.dim_ / 2;
      const int64_t left = kernel_.dim_ - column;
      if (left >= static_cast<int64_t>(kLanes) &&
          (column + static_cast<int64_t>(kLanes) <= half || column >= half)) {
        if (token.low != nullptr) {
          const float* position = column < half ? token.low + column : token.high + (column - half);
          value = hn::Add(value, hn::LoadU(df, position));
        }
        if constexpr (kStream) {
          stream(value, token.output + column);
        } else {
          store(value, token.output + column);
        }
        return;
      }
      finish_edge(token, column, value);
    }

    /// A vector that crosses the middle or the end of a row.
    HWY_NOINLINE void finish_edge(const Token& token, int64_t column, V value) const {
      const int64_t half = kernel_.dim_ / 2;
      const int64_t count = std::min<int64_t>(kLanes, kernel_.dim_ - column);
      if (count <= 0) return;
      HWY_ALIGN float position[kLanes] = {};
      for (int64_t i = 0; i < count && token.low != nullptr; ++i) {
        const int64_t channel = column + i;
        position[i] = channel < half ? token.low[channel] : token.high[channel - half];
      }
      store_some(hn::Add(value, hn::Load(df, position)), token.output + column,
                 static_cast<size_t>(count));
    }

    template <bool kStream>
    struct EmitRow {
      const Block* block;
      HWY_INLINE void operator()(int64_t row, int64_t panel, const V (&sums)[kPanelVectors]) const {
        const Token& token = block->tokens_[row];
        int64_t column = panel * kPanel;
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v, column += static_cast<int64_t>(kLanes)) {
          block->finish<kStream>(token, column, block->with_bias(sums[v], column));
        }
      }
    };

    struct EmitUnnormalised {
      const Block* block;
      HWY_INLINE void operator()(int64_t row, int64_t panel, const V (&sums)[kPanelVectors]) const {
        float* to = block->unnormalised_ + row * block->kernel_.panels_ * kPanel;
        int64_t column = panel * kPanel;
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v, column += static_cast<int64_t>(kLanes)) {
          hn::StoreU(block->with_bias(sums[v], column), df, to + column);
        }
      }
    };

    void finish_normalised(int64_t row) const {
      const float* from = unnormalised_ + row * kernel_.panels_ * kPanel;
      const Moments m = moments(from, kernel_.dim_, kernel_.args_.epsilon);
      const V mean = hn::Set(df, m.mean), scale = hn::Set(df, m.inverse_deviation);
      for (int64_t column = 0; column < kernel_.dim_; column += static_cast<int64_t>(kLanes)) {
        const V value = hn::Mul(hn::Sub(hn::LoadU(df, from + column), mean), scale);
        if (kernel_.stream_) {
          finish<true>(tokens_[row], column, rounded<T>(value));
        } else {
          finish<false>(tokens_[row], column, rounded<T>(value));
        }
      }
    }

    /// Output [images, dim, tokens].
    struct EmitColumns {
      const Block* block;
      HWY_INLINE void operator()(int64_t row, int64_t panel, const V (&sums)[kPanelVectors]) const {
        const PatchKernel& kernel = block->kernel_;
        const int64_t i = block->first_ + row;
        const int64_t image = i / kernel.tokens_, token = i % kernel.tokens_;
        int64_t column = panel * kPanel;
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v, column += static_cast<int64_t>(kLanes)) {
          if (column >= kernel.dim_) return;
          HWY_ALIGN T lanes[kLanes];
          store(block->with_bias(sums[v], column), lanes);
          auto* to = static_cast<T*>(kernel.args_.output) +
                     (image * kernel.dim_ + column) * kernel.tokens_ + token;
          const int64_t count = std::min<int64_t>(kLanes, kernel.dim_ - column);
          for (int64_t lane = 0; lane < count; ++lane) to[lane * kernel.tokens_] = lanes[lane];
        }
      }
    };

    const PatchKernel& kernel_;
    const int64_t first_, rows_;
    float* unnormalised_ = nullptr;
    Token tokens_[8 * kTileRows];
  };

  /// The latent as float32: gathering reads single elements, which 16-bit types would slow down.
  const float* float_latent() {
    const LatentView& latent = args_.latent;
    if (latent.dtype == DType::kFloat32) return static_cast<const float*>(latent.data);
    const int64_t count =
        latent.outer * latent.inner * latent.channels * latent.height * latent.width;
    auto* floats = context_.scratch<float>(count);
    convert(latent.data, latent.dtype, floats, DType::kFloat32, count);
    return floats;
  }

  Token token(int64_t row) const {
    const LatentView& latent = args_.latent;
    const int64_t image = row / tokens_, n = row % tokens_;
    const int64_t y = n / width_, x = n % width_;
    Token token;
    token.latent = latent_ + image / latent.inner * latent.outer_stride +
                   image % latent.inner * latent.inner_stride +
                   y * args_.patch_size * latent.width + x * args_.patch_size;
    token.output = static_cast<T*>(args_.output) + row * dim_;
    token.low = token.high = nullptr;
    if (positions_ == nullptr) return token;
    if (positions_->whole_rows > 0) {
      token.low = positions_->whole.data() + (positions_->whole_rows == 1 ? 0 : n * dim_);
      token.high = token.low + dim_ / 2;
    } else {
      token.low = positions_->columns.data() + x * (dim_ / 2);
      token.high = positions_->rows.data() + y * (dim_ / 2);
    }
    return token;
  }

  const PatchProjectionArgs& args_;
  Context& context_;
  const CpuLinearWeights& weights_;
  const HostPositionTable* positions_;
  const int64_t depth_, dim_, panels_, height_, width_, tokens_, rows_;
  const float* latent_ = nullptr;
  int64_t block_rows_ = kTileRows;
  bool stream_ = false;
};

void patch_projection_kernel(const PatchProjectionArgs& args, Context& context) {
  with_layer_type(args.weights->dtype,
                  [&](auto tag) { PatchKernel<decltype(tag)>(args, context).run(); });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/select-inl.h"

namespace latte::cpu {

void patch_projection(const PatchProjectionArgs& args, Context& context) {
  const LatentView& latent = args.latent;
  if (latent.outer * latent.inner == 0 || args.weights->out_features == 0) return;
  static const auto kernel = LATTE_SELECT(patch_projection_kernel);
  kernel(args, context);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
