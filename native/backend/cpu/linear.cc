#include "backend/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/linear.cc"
#include "hwy/foreach_target.h"
#include "backend/cpu/simd/gemm-inl.h"
#include "backend/cpu/linear_weights.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/simd/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

/// Input rows of T, packed into tiles of A, times weight panels of B.
template <class T, class B, class A>
class LinearKernel {
 public:
  LinearKernel(const LinearArgs& args, Context& context)
      : args_(args),
        context_(context),
        weights_(as_cpu(*args.weights)),
        depth_((weights_.in_features + kPerElement<A> - 1) / kPerElement<A>),
        rows_(args.rows()),
        columns_(weights_.out_features),
        panels_(panel_count(columns_)) {
    const double products =
        static_cast<double>(rows_) * static_cast<double>(depth_) * static_cast<double>(columns_);
    // A thread does about 64 products, or reads about 64 bytes of weights, in a nanosecond. The
    // slower of the two decides.
    const double bytes = static_cast<double>(depth_ * columns_) * sizeof(B);
    threads_ = Context::threads_for(std::max(products, bytes) / 64);
  }

  void run() {
    // The most rows that are packed at a time: this bounds the scratch memory for packed rows.
    constexpr int64_t kMostRows = 8 * kMostBlockRows;
    auto* tiles = context_.scratch<A>(std::min(rows_, kMostRows) * std::max<int64_t>(depth_, 1));
    for (int64_t first = 0; first < rows_; first += kMostRows) {
      const int64_t rows = std::min(kMostRows, rows_ - first);
      const int64_t block_rows = rows_of_block(rows);
      for (int64_t row = 0; row < rows; row += block_rows) {
        pack(first + row, std::min(block_rows, rows - row), tiles + row * depth_);
      }
      if (rows <= kTileRows) {
        stream_weights(first, rows, tiles);
      } else {
        multiply_blocks(first, rows, block_rows, tiles);
      }
    }
  }

 private:
  // With more rows in a block, a panel is used more often while it is in the second-level cache.
  // With fewer, there are more tasks for the threads to share.
  static constexpr int64_t kMostBlockRows = std::max<int64_t>(384 / kTileRows, 1) * kTileRows;
  static constexpr int64_t kMostBlockPanels = 4;
  static constexpr int64_t kTasksPerThread = 6;

  /// Cuts `rows` rows into blocks of nearly equal size; whole tiles, but for the last block.
  static int64_t rows_of_block(int64_t rows) {
    const int64_t blocks = (rows + kMostBlockRows - 1) / kMostBlockRows;
    return (rows + blocks * kTileRows - 1) / (blocks * kTileRows) * kTileRows;
  }

  /// Packs the input rows first … first + rows − 1, which are one block, into tiles.
  void pack(int64_t first, int64_t rows, A* tiles) {
    const int64_t in = weights_.in_features;
    const T* input = static_cast<const T*>(args_.input.data) + first * in;
    // Two tiles a task, and in the last task what is left: next_tile() depends on the block's end.
    constexpr int64_t kTaskRows = int64_t{2} * kTileRows;
    const int64_t tasks = std::max<int64_t>(rows / kTaskRows, 1);
    context_.parallel_for(tasks, tasks > 2 ? threads_ : 1, [&](int64_t task) {
      const int64_t end = task + 1 == tasks ? rows : (task + 1) * kTaskRows;
      for (int64_t row = task * kTaskRows, count; row < end; row += count) {
        count = next_tile(rows - row);
        pack_tile(input + row * in, in, count, in, args_.input_activation, tiles + row * depth_);
      }
    });
  }

  /// For at most one tile of rows. Every weight is read once, in order, and all of K is summed in
  /// registers.
  void stream_weights(int64_t first_row, int64_t rows, const A* tiles) {
    const int64_t groups = (panels_ + kMostPanelsAtOnce - 1) / kMostPanelsAtOnce;
    const int64_t tasks = threads_ == 1 ? 1 : std::min(groups, kTasksPerThread * threads_);
    context_.parallel_for(tasks, threads_, [&](int64_t task) {
      const int64_t first = groups * task / tasks * kMostPanelsAtOnce;
      const int64_t last = std::min(groups * (task + 1) / tasks * kMostPanelsAtOnce, panels_);
      multiply_piece(piece(tiles, 0, rows, first, last, nullptr), std::max<int64_t>(depth_, 1),
                     Emit{this, first_row});
    });
  }

  /// For more rows. A task multiplies a block of rows with some panels.
  void multiply_blocks(int64_t first_row, int64_t rows, int64_t block_rows, const A* tiles) {
    const int64_t row_blocks = (rows + block_rows - 1) / block_rows;
    const int64_t panel_blocks = std::min(
        panels_, std::max<int64_t>((kTasksPerThread * threads_ + row_blocks - 1) / row_blocks,
                                   (panels_ + kMostBlockPanels - 1) / kMostBlockPanels));
    const int64_t deepest = block_depth<B>();
    context_.parallel_for(row_blocks * panel_blocks, threads_, [&](int64_t task) {
      const int64_t row = task % row_blocks * block_rows;
      const int64_t first = panels_ * (task / row_blocks) / panel_blocks;
      const int64_t last = panels_ * (task / row_blocks + 1) / panel_blocks;
      const int64_t count = std::min(block_rows, rows - row);
      system::Memory partial;
      if (depth_ > deepest) {
        partial = system::memory_pool().allocate(
            static_cast<size_t>(count * (last - first) * kPanel) * sizeof(float));
      }
      multiply_piece(piece(tiles, row, count, first, last, static_cast<float*>(partial.data())),
                     deepest, Emit{this, first_row + row});
    });
  }

  Piece<B, A> piece(const A* tiles, int64_t row, int64_t rows, int64_t first, int64_t last,
                    float* partial) const {
    return {tiles + row * depth_,
            rows,
            depth_,
            static_cast<const B*>(weights_.panels.data()),
            first,
            last,
            partial};
  }

  /// Finishes the sums of one row and panel: adds the bias, applies the activation, adds what the
  /// output holds if it accumulates, and stores.
  struct Emit {
    const LinearKernel* kernel;
    int64_t first_row;

    HWY_NOINLINE void operator()(int64_t row, int64_t panel, const V (&sums)[kPanelVectors]) const {
      const LinearArgs& args = kernel->args_;
      const LinearOutput& output = args.output;
      const int64_t i = first_row + row;
      int64_t column = panel * kPanel;
      T* to = static_cast<T*>(output.data) + column;
      to += output.inner_rows == 1 ? i * output.outer_stride
                                   : i / output.inner_rows * output.outer_stride +
                                         i % output.inner_rows * output.inner_stride;
      V values[kPanelVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v) {
        const float* bias = kernel->weights_.bias.data() + column;  // padded as the panels are
        values[v] = hn::Add(sums[v], hn::LoadU(df, bias + v * static_cast<int64_t>(kLanes)));
      }
      // As in the reference, the result is rounded to T before an activation, and again before it
      // is added to the output.
      if (args.activation != Activation::kNone) {
#pragma GCC unroll 16
        for (int v = 0; v < kPanelVectors; ++v) values[v] = rounded<T>(values[v]);
        activate(args.activation, values);
      }
#pragma GCC unroll 16
      for (int v = 0; v < kPanelVectors; ++v, column += kLanes, to += kLanes) {
        const int64_t left = kernel->columns_ - column;
        if (left <= 0) return;
        const bool whole = left >= static_cast<int64_t>(kLanes);
        V value = values[v];
        if (output.accumulate) {
          const V there = whole ? load(to) : load_some(to, static_cast<size_t>(left));
          value = hn::Add(rounded<T>(value), there);
        }
        if (whole) {
          store(value, to);
        } else {
          store_some(value, to, static_cast<size_t>(left));
        }
      }
    }
  };

  const LinearArgs& args_;
  Context& context_;
  const CpuLinearWeights& weights_;
  const int64_t depth_, rows_, columns_, panels_;
  int threads_ = 1;
};

void linear_kernel(const LinearArgs& args, Context& context) {
#if LATTE_MAY_DOT
  if (args.weights->dtype == DType::kBFloat16 && has_bfloat_dot()) {
    return LinearKernel<BFloat, BFloatGroup, BFloatGroup>(args, context).run();
  }
#endif
  with_layer_type(args.weights->dtype, [&](auto tag) {
    using T = decltype(tag);
    LinearKernel<T, T, float>(args, context).run();
  });
}

int64_t panel_width_of_target() { return kPanel; }

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "backend/cpu/simd/select-inl.h"

namespace latte::cpu {

void linear(const LinearArgs& args, Context& context) {
  if (args.rows() == 0 || args.weights->out_features == 0) return;
  static const auto kernel = LATTE_SELECT(linear_kernel);
  kernel(args, context);
}

int64_t panel_width() {
  static const auto width = LATTE_SELECT(panel_width_of_target);
  return width();
}

}  // namespace latte::cpu
#endif  // HWY_ONCE
