#include "backend/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/linear.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/gemm-inl.h"
#include "backend/cpu/linear_weights.h"
#include "backend/cpu/operations.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

template <class T>
class LinearKernel {
 public:
  LinearKernel(const LinearArgs& args, Context& context)
      : args_(args),
        context_(context),
        weights_(as_cpu(*args.weights)),
        depth_(weights_.in_features),
        columns_(weights_.out_features),
        panels_(panel_count(columns_)) {
    const double products = static_cast<double>(args.rows) * static_cast<double>(depth_) *
                            static_cast<double>(columns_);
    // Whichever is slower: some 16 products a nanosecond, or weights at 16 bytes a nanosecond.
    const double bytes = static_cast<double>(depth_ * columns_) * sizeof(T);
    threads_ = Context::threads_for(std::max(products, bytes) / 16);
  }

  void run() {
    // So many rows at a time: packed rows need memory of their own.
    constexpr int64_t kMostRows = 32 * kBlockRows;
    auto* tiles =
        context_.scratch<float>(std::min(args_.rows, kMostRows) * std::max<int64_t>(depth_, 1));
    for (int64_t first = 0; first < args_.rows; first += kMostRows) {
      const int64_t rows = std::min(kMostRows, args_.rows - first);
      pack(first, rows, tiles);
      if (rows <= kTileRows) {
        stream_weights(first, rows, tiles);
      } else {
        block(first, rows, tiles);
      }
    }
  }

 private:
  static constexpr int64_t kBlockRows = std::max<int64_t>(96 / kTileRows, 1) * kTileRows;
  static constexpr int64_t kBlockPanels = std::max<int64_t>(128 / kPanel, 1);

  void pack(int64_t first, int64_t rows, float* tiles) {
    const T* input = static_cast<const T*>(args_.input) + first * depth_;
    const int64_t tasks = (rows + kTileRows - 1) / kTileRows;
    context_.parallel_for(tasks, tasks > 4 ? threads_ : 1, [&](int64_t task) {
      const int64_t end = std::min(rows, (task + 1) * kTileRows);
      for (int64_t row = task * kTileRows, count; row < end; row += count) {
        count = next_tile(end - row);
        pack_tile(input + row * depth_, depth_, count, depth_, args_.input_activation,
                  tiles + row * depth_);
      }
    });
  }

  /// At most one tile of rows: every weight is read once, in order, and all of K summed at once.
  void stream_weights(int64_t first_row, int64_t rows, const float* tiles) {
    const int64_t tasks = threads_ == 1 ? 1 : std::min<int64_t>(panels_, int64_t{4} * threads_);
    context_.parallel_for(tasks, threads_, [&](int64_t task) {
      const int64_t first = panels_ * task / tasks, last = panels_ * (task + 1) / tasks;
      multiply_piece(piece(tiles, 0, rows, first, last, nullptr), std::max<int64_t>(depth_, 1),
                     Emit{this, first_row});
    });
  }

  /// Many rows: blocks of A stay in the second-level cache, panels of B in the first.
  void block(int64_t first_row, int64_t rows, const float* tiles) {
    const int64_t row_blocks = (rows + kBlockRows - 1) / kBlockRows;
    const int64_t panel_blocks = (panels_ + kBlockPanels - 1) / kBlockPanels;
    context_.parallel_for(row_blocks * panel_blocks, threads_, [&](int64_t task) {
      const int64_t row = task % row_blocks * kBlockRows;
      const int64_t first = task / row_blocks * kBlockPanels;
      const int64_t last = std::min(first + kBlockPanels, panels_);
      std::shared_ptr<Buffer> partial;
      if (depth_ > kBlockK) {
        partial = memory_pool().allocate(kBlockRows * kBlockPanels * kPanel * sizeof(float));
      }
      multiply_piece(piece(tiles, row, std::min(kBlockRows, rows - row), first, last,
                           partial ? static_cast<float*>(partial->data()) : nullptr),
                     kBlockK, Emit{this, first_row + row});
    });
  }

  Piece<T> piece(const float* tiles, int64_t row, int64_t rows, int64_t first, int64_t last,
                 float* partial) const {
    return {tiles + row * depth_,
            rows,
            depth_,
            static_cast<const T*>(weights_.panels->data()),
            first,
            last,
            partial};
  }

  /// Bias, activation, sum and store of one row × panel.
  struct Emit {
    const LinearKernel* kernel;
    int64_t first_row;

    HWY_INLINE void operator()(int64_t row, int64_t panel, const V (&sums)[kPanelVectors]) const {
      const LinearArgs& args = kernel->args_;
      const LinearOutput& output = args.output;
      const int64_t i = first_row + row;
      int64_t column = panel * kPanel;
      T* to = static_cast<T*>(output.data) + column;
      to += output.inner_rows == 1 ? i * output.outer_stride
                                   : i / output.inner_rows * output.outer_stride +
                                         i % output.inner_rows * output.inner_stride;
      const float* bias = kernel->weights_.bias.data() + column;
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) {
        const int64_t left = kernel->columns_ - column;
        if (left <= 0) return;
        V value = hn::Add(sums[v], hn::LoadU(df, bias));
        // The layer's result is rounded before an activation, and that before a sum.
        if (args.activation != Activation::kNone) {
          value = activate(args.activation, rounded<T>(value));
        }
        const bool whole = left >= static_cast<int64_t>(kLanes);
        if (output.accumulate) {
          const V there = whole ? load(to) : load_some(to, static_cast<size_t>(left));
          value = hn::Add(rounded<T>(value), there);
        }
        if (whole) {
          store(value, to);
        } else {
          store_some(value, to, static_cast<size_t>(left));
        }
        column += static_cast<int64_t>(kLanes);
        bias += kLanes;
        to += kLanes;
      }
    }
  };

  const LinearArgs& args_;
  Context& context_;
  const CpuLinearWeights& weights_;
  const int64_t depth_, columns_, panels_;
  int threads_ = 1;
};

void linear_kernel(const LinearArgs& args, Context& context) {
  with_layer_type(args.weights->dtype,
                  [&](auto tag) { LinearKernel<decltype(tag)>(args, context).run(); });
}

int64_t panel_width_of_target() { return kPanel; }

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/select-inl.h"

namespace latte::cpu {

void linear(const LinearArgs& args, Context& context) {
  if (args.rows == 0 || args.weights->out_features == 0) return;
  static const auto kernel = LATTE_SELECT(linear_kernel);
  kernel(args, context);
}

int64_t panel_width() {
  static const auto width = LATTE_SELECT(panel_width_of_target);
  return width();
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
