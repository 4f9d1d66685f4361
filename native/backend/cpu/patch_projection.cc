// Gather, product, bias, (layer norm,) position and store in one pass over the output. The output
// is many times as large as all that is read: for Latte-XL at 512×512, 151 MB from 2 MB.
//
//   rows     Output rows are taken in the order (group of images, token, image). So a tile of
//            kPatchRows holds the same token of several frames, which share its position row.
//   threads  Each thread begins in rows of its own, far from the others'. Two threads that touch a
//            new huge page at the same time would wait for each other.
//   direct   A tile's product with a panel goes from the registers to the output. Streaming stores
//            bypass the caches if the output is larger than they are (kStreamBytes). The bias is
//            part of what is added to the products: short rows of a separable table include it.
//   dot      The same by the processor's dot product of bfloat16 (bfloat_dot.h).
//   norm     The weights are centred over the channels when they are packed, so the channels of
//            every patch have mean zero. Their variance follows from the patch alone by K²/2
//            products. The patch is scaled by 1/σ before it is multiplied: the layer norm needs no
//            pass of its own.
//   buffered Some rows at a time go through a float32 buffer that stays in the second-level cache.
//            This is for K that is cut into blocks, for a layer norm with large K, and for
//            channels first.
//
// Half types are rounded once, at the end. The reference also rounds the results of the
// convolution and of the layer norm, so it is further from the exact result.
#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/patch_projection.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/linear_weights.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/patch_rows.h"
#include "backend/cpu/simd/patch_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

constexpr int64_t kStep = kLanes;
constexpr int64_t kPatchDepth = 256;       // the most of K at once: at most 32 KiB of a panel
constexpr int64_t kNormDepth = 64;         // up to this K the variance comes from the patch
constexpr int64_t kDirectTiles = 8;        // the most tiles of a block that is not buffered
constexpr int64_t kBufferedRows = 96;      // the most rows of a buffered block with large K
constexpr int64_t kPanelBytes = 18 << 10;  // of panels that stay in the first-level cache
constexpr int64_t kMostRows = std::max<int64_t>(kDirectTiles * kPatchRows, kBufferedRows);

/// One patch projection. T is the dtype of latent, weights and output.
template <class T>
class PatchKernel {
 public:
  PatchKernel(const PatchProjectionArgs& args, Context& context)
      : args_(args),
        context_(context),
        rows_(args),
        two_by_two_(args.patch.frames == 1 && args.patch.height == 2 && args.patch.width == 2),
        depth_(args.weights->in_features),
        dim_(args.weights->out_features),
        panels_((dim_ + kPatchPanel - 1) / kPatchPanel),
        centred_(args.layer_norm && depth_ <= kNormDepth && !args.channels_first),
        buffered_(depth_ > kPatchDepth || (args_.layer_norm && !centred_) || args_.channels_first),
        dot_(kMayDot && !buffered_ && !centred_ && has_bfloat_dot()) {
    if (!dot_) weights_ = &packed_weights();
    if (!buffered_ && !centred_) biased_ = rows_.include_bias();
  }

  void run() {
    const double bytes = static_cast<double>(rows_.count() * dim_) * sizeof(T);
    const double products = static_cast<double>(rows_.count() * dim_) * static_cast<double>(depth_);
    const int threads = Context::threads_for(std::max(bytes / 12, products / 32));
    // A streaming store must not cross a cache line, so the output and its rows begin on lines.
    // Buffered rows are finished half by half, and a panel may be part of a line: then the second
    // half begins on a line, too.
    const auto whole = [](size_t lengths) { return lengths % kLine == 0; };
    const bool by_halves = buffered_ || kLinePanels > 1;
    stream_ = kMayStream && bytes >= kStreamBytes && !args_.channels_first &&
              whole(reinterpret_cast<uintptr_t>(args_.output.data)) && whole(dim_ * sizeof(T)) &&
              (!by_halves || whole(dim_ / 2 * sizeof(T)));
    const int64_t most_tiles = !buffered_             ? kDirectTiles
                               : depth_ <= kNormDepth ? 1
                                                      : kBufferedRows / kPatchRows;
    const int64_t tiles = (rows_.count() + kPatchRows - 1) / kPatchRows;
    block_rows_ = std::clamp<int64_t>(tiles / (int64_t{4} * threads), 1, most_tiles) * kPatchRows;
    const int64_t blocks = (rows_.count() + block_rows_ - 1) / block_rows_;
    const int64_t stretch = (blocks + threads - 1) / threads;
    context_.parallel_for(stretch * threads, threads, [&](int64_t i) {
      const int64_t block = i % threads * stretch + i / threads;
      if (block < blocks) Block(*this, block * block_rows_).run();
    });
  }

 private:
  static constexpr size_t kLine = 64;
  /// Panels that fill a cache line of a row together: 2 in half types with AVX2.
  static constexpr int64_t kLinePanels =
      std::max<int64_t>(static_cast<int64_t>(kLine / sizeof(T)) / kPatchPanel, 1);
  static constexpr bool kMayStream = !HWY_ARCH_ARM_A64;  // which has no such store of one vector
  static constexpr bool kMayDot = LATTE_MAY_DOT && std::is_same_v<T, BFloat>;

  const PatchWeights& packed_weights() const {
    auto& slot = as_cpu(*args_.weights).patches[centred_ ? 1 : 0];
    std::call_once(slot.once,
                   [&] { slot.packed = pack_patches(*args_.weights, kPatchPanel, centred_); });
    return *slot.packed;
  }

  /// Some output rows, computed by one thread: `count_` of them, from `first` on.
  class Block {
   public:
    Block(const PatchKernel& kernel, int64_t first)
        : kernel_(kernel),
          count_(std::min(kernel.block_rows_, kernel.rows_.count() - first)),
          tiles_((count_ + kPatchRows - 1) / kPatchRows),
          stride_(kernel.panels_ * kPatchPanel),
          panels_(kernel.dot_ ? nullptr
                              : static_cast<const float*>(kernel.weights_->panels.data())) {
      kernel.rows_.list(first, count_, rows_);
      // The last tile is padded with its last row, which is then computed and written more than
      // once.
      std::fill(rows_ + count_, rows_ + tiles_ * kPatchRows, rows_[count_ - 1]);
    }

    void run() {
#if LATTE_MAY_DOT
      if constexpr (kMayDot) {
        if (kernel_.dot_) {
          multiply_dot();
          if (kernel_.stream_) hwy::FlushStream();
          return;
        }
      }
#endif
      const int64_t patches = tiles_ * kPatchRows * kernel_.depth_;
      const int64_t buffer = kernel_.buffered_ ? tiles_ * kPatchRows * stride_ : 0;
      // Behind the patches there is room to gather them in half types. With float32 there is room
      // for one vector, because normalise_tile() reads past the last tile.
      const int64_t behind = std::is_same_v<T, float> ? kStep : patches;
      const auto memory =
          system::memory_pool().allocate(byte_count(sizeof(float), buffer + patches + behind));
      buffer_ = static_cast<float*>(memory.data());
      patches_ = buffer_ + buffer;
      gather(reinterpret_cast<T*>(patches_ + patches));
      if (kernel_.buffered_) {
        multiply_buffered();
        for (int64_t row = 0; row < count_; ++row) finish_buffered(row);
      } else if (kernel_.centred_) {
        normalise();
        multiply_direct<Addend::kWithScaledBias>();
      } else {
        kernel_.biased_ ? multiply_direct<Addend::kPositions>()
                        : multiply_direct<Addend::kWithBias>();
      }
      if (kernel_.stream_) hwy::FlushStream();  // before this thread reports that it is done
    }

   private:
    float* tile(int64_t i) const { return patches_ + i * kPatchRows * kernel_.depth_; }

    /// Gathers the patches into tiles of float32. Half types are gathered into `halves` first.
    void gather(T* halves) const {
      const LatentView& latent = kernel_.args_.latent;
      for (int64_t row = 0; row < tiles_ * kPatchRows; ++row) {
        T* to = halves;
        if constexpr (std::is_same_v<T, float>) to = patches_;
        to += row / kPatchRows * kPatchRows * kernel_.depth_ + row % kPatchRows;
        const T* from = static_cast<const T*>(latent.data) + rows_[row].latent;
        const auto gather = [&](PatchSize patch)
                                HWY_ATTR { gather_patch(from, latent, patch, to); };
        kernel_.two_by_two_ ? gather({1, 2, 2}) : gather(kernel_.args_.patch);
      }
      if constexpr (!std::is_same_v<T, float>) {
        const int64_t count = tiles_ * kPatchRows * kernel_.depth_;
        int64_t i = 0;
        for (; i + kStep <= count; i += kStep) store(load(halves + i), patches_ + i);
        store_some(load_some(halves + i, count - i), patches_ + i, count - i);
      }
    }

    void normalise() {
      for (int64_t i = 0; i < tiles_; ++i) {
        normalise_tile(tile(i), kernel_.depth_, kernel_.weights_->spread.data(),
                       kernel_.args_.epsilon, scales_[i]);
      }
    }

    /// Calls visit(tile, first panel, end of panels) in an order in which some panels stay in the
    /// first-level cache for all tiles. `visit` calls functions that are not inlined: only then do
    /// compilers keep all sums in registers.
    template <class Visit>
    void for_each(int64_t column_bytes, const Visit& visit) const {
      const int64_t line_bytes = std::max<int64_t>(column_bytes, 1) * kPatchPanel * kLinePanels;
      const int64_t group = std::max<int64_t>(kPanelBytes / line_bytes, 1) * kLinePanels;
      for (int64_t first = 0; first < kernel_.panels_; first += group) {
        const int64_t last = std::min(first + group, kernel_.panels_);
        for (int64_t i = 0; i < tiles_; ++i) visit(i, first, last);
      }
    }

    /// Row k of a panel.
    const float* panel_at(int64_t panel, int64_t k) const {
      return panels_ + (panel * kernel_.depth_ + k) * kPatchPanel;
    }

    template <Addend kAddend>
    void multiply_direct() const {
      if constexpr (kMayStream) {
        if (kernel_.stream_) return multiply_direct<kAddend, true>();
      }
      multiply_direct<kAddend, false>();
    }

    template <Addend kAddend, bool kStream>
    void multiply_direct() const {
      const auto visit = [&](int64_t i, int64_t first, int64_t last) {
        each_run(
            kernel_.dim_, first, last,
            [&](int64_t begin, int64_t end) { direct_panels<kAddend, kStream>(i, begin, end); },
            [&](int64_t panel) { edge_panel<kAddend>(i, panel); });
      };
      for_each(kernel_.depth_ * int64_t{sizeof(float)}, visit);
    }

    /// positions[r] and outputs[r] of a tile's row r, from a column on.
    void ends(int64_t i, int64_t column, const float** positions, T** outputs) const {
      const int64_t half = kernel_.dim_ / 2;
      const bool upper = column >= half;
      for (int r = 0; r < kPatchRows; ++r) {
        const PatchRow& row = rows_[i * kPatchRows + r];
        positions[r] = row.positions[upper] + (upper ? column - half : column);
        outputs[r] = static_cast<T*>(row.output) + column;
      }
    }

    template <Addend kAddend, bool kStream>
    HWY_NOINLINE void direct_panels(int64_t i, int64_t first, int64_t last) const {
      const float* positions[kPatchRows];
      T* outputs[kPatchRows];
      ends(i, first * kPatchPanel, positions, outputs);
      const float* const patches = tile(i);
      const float* const scales = scales_[i];
      const float* bias = kernel_.weights_->bias.data() + first * kPatchPanel;
      const float* panel = panel_at(first, 0);
      const int64_t depth = kernel_.depth_, end = (last - first) * kPatchPanel;
      // A line that is streamed in parts goes to memory several times. So panels that are less
      // than a line are collected.
      constexpr bool kCollect = kStream && kLinePanels > 1;
      HWY_ALIGN T lines[kCollect ? kPatchRows : 1][kCollect ? kLinePanels * kPatchPanel : 1];
      for (int64_t at = 0; at < end; at += kPatchPanel, bias += kPatchPanel) {
        const int64_t in_line = at % (kLinePanels * kPatchPanel);
        PatchSums product;
        product.multiply<true>(patches, panel, depth);
        panel += depth * kPatchPanel;
#pragma GCC unroll 16
        for (int r = 0; r < kPatchRows; ++r) {
          V values[kPatchVectors];
          product.add<kAddend>(r, positions[r] + at, bias, scales, values);
          if constexpr (kCollect) {
            put<false>(values, lines[r] + in_line);
          } else {
            put<kStream>(values, outputs[r] + at);
          }
        }
        if constexpr (kCollect) {
          if (in_line + kPatchPanel < kLinePanels * kPatchPanel) continue;
          for (int r = 0; r < kPatchRows; ++r) stream_line(lines[r], outputs[r] + at - in_line);
        }
      }
    }

    /// The positions of a tile's rows for a panel that crosses the middle or the end of a row.
    void edge_positions(int64_t i, int64_t panel, float* values, const float** positions) const {
      for (int r = 0; r < kPatchRows; ++r) {
        const PatchRow& row = rows_[i * kPatchRows + r];
        positions[r] = values;
        for (int64_t column = panel * kPatchPanel; column < (panel + 1) * kPatchPanel; ++column) {
          *values++ = column < kernel_.dim_ ? row.position(column, kernel_.dim_ / 2) : 0.0f;
        }
      }
    }

    /// A panel that crosses the middle or the end of a row is stored one channel at a time.
    template <Addend kAddend>
    HWY_NOINLINE void edge_panel(int64_t i, int64_t panel) const {
      PatchSums product;
      product.multiply<true>(tile(i), panel_at(panel, 0), kernel_.depth_);
      HWY_ALIGN float rows[kPatchRows * kPatchPanel];
      const float* positions[kPatchRows];
      edge_positions(i, panel, rows, positions);
      const int64_t column = panel * kPatchPanel;
      const float* bias = kernel_.weights_->bias.data() + column;
      HWY_ALIGN float results[kPatchPanel];
#pragma GCC unroll 16
      for (int r = 0; r < kPatchRows; ++r) {
        V values[kPatchVectors];
        product.add<kAddend>(r, positions[r], bias, scales_[i], values);
        for (int v = 0; v < kPatchVectors; ++v) store(values[v], results + v * kStep);
        T* to = static_cast<T*>(rows_[i * kPatchRows + r].output) + column;
        for (int64_t c = 0; c < kPatchPanel && column + c < kernel_.dim_; ++c) {
          store_some(hn::Set(df, results[c]), to + c, 1);
        }
      }
    }

#if LATTE_MAY_DOT
    void multiply_dot() const {
      static_assert(kPatchRows == kBFloatPatchRows && kPatchPanel == kBFloatDotPanel);
      const int64_t depth = (kernel_.depth_ + kBFloatGroup - 1) / kBFloatGroup;
      const int64_t tile_groups = kPatchRows * depth;
      const auto memory =
          system::memory_pool().allocate(byte_count(sizeof(BFloatGroup), tiles_ * tile_groups));
      auto* tiles = static_cast<BFloatGroup*>(memory.data());
      const PatchProjectionArgs& args = kernel_.args_;
      for (int64_t row = 0; row < tiles_ * kPatchRows; ++row) {
        auto* to = tiles + row / kPatchRows * tile_groups + row % kPatchRows;
        const auto* from = static_cast<const BFloat*>(args.latent.data) + rows_[row].latent;
        const auto gather = [&](PatchSize patch)
                                HWY_ATTR { gather_groups(from, args.latent, patch, to); };
        kernel_.two_by_two_ ? gather({1, 2, 2}) : gather(args.patch);
      }
      const CpuLinearWeights& weights = as_cpu(*args.weights);
      const auto patches_at = [&](int64_t i, int64_t panel) {
        BFloatPatches patches;
        patches.tile = tiles + i * tile_groups;
        patches.panels = static_cast<const BFloatGroup*>(weights.panels.data()) +
                         panel * depth * kBFloatDotPanel;
        patches.depth = depth;
        patches.stream = kernel_.stream_;
        patches.bias = kernel_.biased_ ? nullptr : weights.bias.data() + panel * kPatchPanel;
        return patches;
      };
      for_each(depth * int64_t{sizeof(BFloatGroup)}, [&](int64_t i, int64_t first, int64_t last) {
        each_run(
            kernel_.dim_, first, last,
            [&](int64_t begin, int64_t end) {
              BFloatPatches patches = patches_at(i, begin);
              ends(i, begin * kPatchPanel, patches.positions, patches.outputs);
              multiply_bfloat_patches(patches, end - begin);
            },
            [&](int64_t panel) { edge_dot(i, panel, patches_at(i, panel)); });
      });
    }

    void edge_dot(int64_t i, int64_t panel, BFloatPatches patches) const {
      float values[kPatchRows * kPatchPanel];
      BFloat results[kPatchRows][kPatchPanel];
      edge_positions(i, panel, values, patches.positions);
      for (int r = 0; r < kPatchRows; ++r) patches.outputs[r] = results[r];
      patches.stream = false;
      multiply_bfloat_patches(patches, 1);
      const int64_t column = panel * kPatchPanel;
      for (int r = 0; r < kPatchRows; ++r) {
        std::copy_n(results[r], std::min(kPatchPanel, kernel_.dim_ - column),
                    static_cast<BFloat*>(rows_[i * kPatchRows + r].output) + column);
      }
    }
#endif

    void multiply_buffered() const {
      for (int64_t k = 0; k == 0 || k < kernel_.depth_; k += kPatchDepth) {
        const int64_t count = std::min(kPatchDepth, kernel_.depth_ - k);
        for_each(count * int64_t{sizeof(float)}, [&](int64_t i, int64_t first, int64_t last) {
          buffered_panels(i, first, last, k, count);
        });
      }
    }

    HWY_NOINLINE void buffered_panels(int64_t i, int64_t first, int64_t last, int64_t k,
                                      int64_t count) const {
      for (int64_t panel = first; panel < last; ++panel) {
        float* sums = buffer_ + i * kPatchRows * stride_ + panel * kPatchPanel;
        PatchSums product;
        if (k == 0) {
          product.load_from(kernel_.weights_->bias.data() + panel * kPatchPanel, 0);
        } else {
          product.load_from(sums, stride_);
        }
        product.multiply<false>(tile(i) + k * kPatchRows, panel_at(panel, k), count);
        product.store_to(sums, stride_);
      }
    }

    /// Normalises a row of the buffer if the projection has a layer norm, adds the positions, and
    /// stores the row.
    void finish_buffered(int64_t row) const {
      float* values = buffer_ + row * stride_;
      const int64_t dim = kernel_.dim_;
      T* to = static_cast<T*>(rows_[row].output);
      if (kernel_.args_.channels_first) {
        for (int64_t c = 0; c < dim; ++c) {
          store_some(hn::Set(df, values[c]), to + c * kernel_.rows_.tokens(), 1);
        }
        return;
      }
      if (!kernel_.args_.layer_norm) return finish_row<false>(values, {}, rows_[row]);
      finish_row<true>(values, moments(values, dim, kernel_.args_.epsilon), rows_[row]);
    }

    template <bool kScaled>
    void finish_row(const float* values, Moments norm, const PatchRow& row) const {
      if constexpr (kMayStream) {
        if (kernel_.stream_) return finish_row<kScaled, true>(values, norm, row);
      }
      finish_row<kScaled, false>(values, norm, row);
    }

    template <bool kScaled, bool kStream>
    void finish_row(const float* values, Moments norm, const PatchRow& row) const {
      T* to = static_cast<T*>(row.output);
      const int64_t dim = kernel_.dim_, half = dim / 2;
      finish_channels<kScaled, kStream>(values, norm, row.positions[0], to, half);
      finish_channels<kScaled, kStream>(values + half, norm, row.positions[1], to + half,
                                        dim - half);
    }

    const PatchKernel& kernel_;
    const int64_t count_, tiles_, stride_;
    const float* const panels_;
    float* buffer_ = nullptr;   // [rows][stride] of sums
    float* patches_ = nullptr;  // [tiles][K][kPatchRows]
    PatchRow rows_[kMostRows];
    float scales_[kDirectTiles][kPatchRows];
  };

  const PatchProjectionArgs& args_;
  Context& context_;
  PatchRows rows_;
  const bool two_by_two_;  // frames are 1
  const int64_t depth_, dim_, panels_;
  const bool centred_, buffered_, dot_;
  const PatchWeights* weights_ = nullptr;  // null if dot_, which uses those of linear
  bool stream_ = false, biased_ = false;
  int64_t block_rows_ = kPatchRows;
};

void patch_projection_kernel(const PatchProjectionArgs& args, Context& context) {
  with_layer_type(args.weights->dtype,
                  [&](auto tag) { PatchKernel<decltype(tag)>(args, context).run(); });
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

void patch_projection(const PatchProjectionArgs& args, Context& context) {
  if (args.images() == 0 || args.weights->out_features == 0) return;
  static const auto kernel = LATTE_SELECT(patch_projection_kernel);
  kernel(args, context);
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
