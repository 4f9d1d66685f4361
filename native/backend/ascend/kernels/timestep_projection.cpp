// Timesteps [count] -> sinusoids [count, dim]: one launch on the vector cores.
#include "kernel_operator.h"

#include "kernel_tiling.h"
#include "payne_hanek.h"
#include "unified_buffer.h"

namespace latte_kernel {

using namespace AscendC;

// pi/2 as a sum: three pieces of 8 bits, whose products with a 16-bit quotient are exact, and the
// rest.
constexpr float kHalfPi1 = 0x1.92p+0f;
constexpr float kHalfPi2 = 0x1.0p-11f;
constexpr float kHalfPi3 = -0x1.28p-18f;
constexpr float kHalfPi4 = -0x1.777a5cp-25f;
constexpr float kTwoOverPi = 0x1.45f306p-1f;

/// A tile is tile_rows rows of timesteps by tile_columns frequencies.
template <class T>
class TimestepProjection {
 public:
  __aicore__ inline TimestepProjection() {}
  __aicore__ inline void run(TPipe* pipe, GM_ADDR timesteps, GM_ADDR frequencies, GM_ADDR output,
                             const latte_timestep_tiling& tiling) {
    pipe_ = pipe;
    tiling_ = tiling;
    two_over_pi_.set(tiling);
    timesteps_.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(timesteps));
    frequencies_.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(frequencies));
    output_.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(output));
    const uint32_t tile = tiling_.tile_rows * tiling_.tile_columns;
    const uint32_t floats = tile * static_cast<uint32_t>(sizeof(float));
    pipe_->InitBuffer(timestep_queue_, 1, padded(tiling_.tile_rows, sizeof(float)));
    pipe_->InitBuffer(frequency_queue_, 1, padded(tiling_.tile_columns, sizeof(float)));
    pipe_->InitBuffer(output_queue_, 2, 2 * tile * static_cast<uint32_t>(sizeof(T)));
    pipe_->InitBuffer(zero_queue_, 1, tiling_.tile_rows * LATTE_UB_BLOCK);
    pipe_->InitBuffer(argument_buffer_, floats);
    pipe_->InitBuffer(reduced_buffer_, floats);
    pipe_->InitBuffer(quotient_buffer_, floats);
    pipe_->InitBuffer(square_buffer_, floats);
    pipe_->InitBuffer(sine_buffer_, floats);
    pipe_->InitBuffer(cosine_buffer_, floats);
    pipe_->InitBuffer(scratch_buffer_, floats);

    const uint32_t first = static_cast<uint32_t>(GetBlockIdx()) * tiling_.block_rows;
    uint32_t end = first + tiling_.block_rows;
    if (end > tiling_.count) end = tiling_.count;
    for (uint32_t column = 0; column < tiling_.half; column += tiling_.tile_columns) {
      project_columns(first, end, column);
    }
    if (tiling_.dim % 2 == 1) write_zeros(first, end);
  }

 private:
  __aicore__ inline static uint32_t padded(uint32_t count, uint32_t item) {
    return (count * item + LATTE_UB_BLOCK - 1) / LATTE_UB_BLOCK * LATTE_UB_BLOCK;
  }

  __aicore__ inline void project_columns(uint32_t first, uint32_t end, uint32_t column) {
    const uint32_t width =
        tiling_.half - column < tiling_.tile_columns ? tiling_.half - column : tiling_.tile_columns;
    LocalTensor<float> frequencies = frequency_queue_.template AllocTensor<float>();
    const uint32_t bytes = width * static_cast<uint32_t>(sizeof(float));
    DataCopyPad(frequencies, frequencies_[column], DataCopyExtParams{1, bytes, 0, 0, 0},
                DataCopyPadExtParams<float>{false, 0, 0, 0});
    frequency_queue_.EnQue(frequencies);
    frequencies = frequency_queue_.template DeQue<float>();
    for (uint32_t row = first; row < end; row += tiling_.tile_rows) {
      const uint32_t rows = end - row < tiling_.tile_rows ? end - row : tiling_.tile_rows;
      make_arguments(frequencies, row, rows, width);
      compute(rows * tiling_.tile_columns);
      store(row, rows, column, width);
    }
    frequency_queue_.FreeTensor(frequencies);
  }

  /// Makes the arguments of a tile, and reduced_ and quotient_: argument = quotient * pi/2 +
  /// reduced.
  __aicore__ inline void make_arguments(const LocalTensor<float>& frequencies, uint32_t row,
                                        uint32_t rows, uint32_t width) {
    LocalTensor<float> timesteps = timestep_queue_.template AllocTensor<float>();
    const uint32_t bytes = rows * static_cast<uint32_t>(sizeof(float));
    DataCopyPad(timesteps, timesteps_[row], DataCopyExtParams{1, bytes, 0, 0, 0},
                DataCopyPadExtParams<float>{false, 0, 0, 0});
    timestep_queue_.EnQue(timesteps);
    timesteps = timestep_queue_.template DeQue<float>();
    const event_t loaded = static_cast<event_t>(pipe_->FetchEventID(HardEvent::MTE2_S));
    SetFlag<HardEvent::MTE2_S>(loaded);
    WaitFlag<HardEvent::MTE2_S>(loaded);

    LocalTensor<float> arguments = argument_buffer_.template Get<float>();
    const uint32_t stride = tiling_.tile_columns;
    const int32_t count = static_cast<int32_t>(rows * stride);
    // Frequencies beyond `width` are not read; what the padding computes is never stored.
    Duplicate(arguments, 0.0f, count);
    PipeBarrier<PIPE_V>();
    for (uint32_t r = 0; r < rows; ++r) {
      Muls(arguments[r * stride], frequencies, timesteps.GetValue(r), static_cast<int32_t>(width));
    }
    PipeBarrier<PIPE_V>();
    // The reference rounds the product with the frequency first.
    Muls(arguments, arguments, tiling_.scale, count);
    PipeBarrier<PIPE_V>();
    reduce_directly(arguments, count);

    bool far = false;
    for (uint32_t r = 0; r < rows; ++r) far = far || !is_direct(timesteps.GetValue(r));
    if (far) reduce_far_rows(timesteps, arguments, rows, width);
    timestep_queue_.FreeTensor(timesteps);
  }

  /// Whether reduce_directly() is exact for the row; false for NaN, too.
  __aicore__ inline bool is_direct(float timestep) const {
    return timestep <= tiling_.direct_limit && timestep >= -tiling_.direct_limit;
  }

  __aicore__ inline void reduce_directly(const LocalTensor<float>& arguments, int32_t count) {
    LocalTensor<float> reduced = reduced_buffer_.template Get<float>();
    LocalTensor<float> quotient = quotient_buffer_.template Get<float>();
    LocalTensor<float> scratch = scratch_buffer_.template Get<float>();
    Muls(scratch, arguments, kTwoOverPi, count);
    PipeBarrier<PIPE_V>();
    round_to_integer(quotient, scratch, count);
    Muls(scratch, quotient, kHalfPi1, count);
    PipeBarrier<PIPE_V>();
    Sub(reduced, arguments, scratch, count);
    PipeBarrier<PIPE_V>();
    subtract_product(reduced, quotient, kHalfPi2, count);
    subtract_product(reduced, quotient, kHalfPi3, count);
    subtract_product(reduced, quotient, kHalfPi4, count);
  }

  /// Sets `to` to `from` rounded to the nearest integer; overwrites `from`.
  __aicore__ inline void round_to_integer(const LocalTensor<float>& to,
                                          const LocalTensor<float>& from, int32_t count) {
    LocalTensor<int32_t> integers = square_buffer_.template Get<int32_t>();
    Cast(integers, from, RoundMode::CAST_RINT, count);
    PipeBarrier<PIPE_V>();
    Cast(to, integers, RoundMode::CAST_NONE, count);
    PipeBarrier<PIPE_V>();
  }

  __aicore__ inline void subtract_product(const LocalTensor<float>& from,
                                          const LocalTensor<float>& quotient, float piece,
                                          int32_t count) {
    LocalTensor<float> scratch = scratch_buffer_.template Get<float>();
    Muls(scratch, quotient, piece, count);
    PipeBarrier<PIPE_V>();
    Sub(from, from, scratch, count);
    PipeBarrier<PIPE_V>();
  }

  /// Reduces rows exactly on the scalar unit if their arguments are too large for
  /// reduce_directly().
  __aicore__ inline void reduce_far_rows(const LocalTensor<float>& timesteps,
                                         const LocalTensor<float>& arguments, uint32_t rows,
                                         uint32_t width) {
    LocalTensor<float> reduced = reduced_buffer_.template Get<float>();
    LocalTensor<float> quotient = quotient_buffer_.template Get<float>();
    const event_t computed = static_cast<event_t>(pipe_->FetchEventID(HardEvent::V_S));
    SetFlag<HardEvent::V_S>(computed);
    WaitFlag<HardEvent::V_S>(computed);
    LocalTensor<uint32_t> bits = arguments.template ReinterpretCast<uint32_t>();
    LocalTensor<uint32_t> reduced_bits = reduced.template ReinterpretCast<uint32_t>();
    for (uint32_t r = 0; r < rows; ++r) {
      if (is_direct(timesteps.GetValue(r))) continue;
      for (uint32_t i = r * tiling_.tile_columns; i < r * tiling_.tile_columns + width; ++i) {
        const Reduced result = reduce_far(two_over_pi_, bits.GetValue(i));
        if (result.kept) {
          reduced_bits.SetValue(i, result.kept_bits);
        } else {
          reduced.SetValue(i, static_cast<float>(result.fraction) * kQuarterTurn);
        }
        quotient.SetValue(i, static_cast<float>(result.quarter));
      }
    }
    const event_t written = static_cast<event_t>(pipe_->FetchEventID(HardEvent::S_V));
    SetFlag<HardEvent::S_V>(written);
    WaitFlag<HardEvent::S_V>(written);
  }

  /// Computes sines and cosines of the tile: Taylor polynomials on |reduced| <= pi/4, then a
  /// rotation by `quotient` quarter turns. The sines are left in argument_buffer_, the cosines in
  /// quotient_buffer_.
  __aicore__ inline void compute(uint32_t elements) {
    const int32_t count = static_cast<int32_t>(elements);
    LocalTensor<float> reduced = reduced_buffer_.template Get<float>();
    LocalTensor<float> quotient = quotient_buffer_.template Get<float>();
    LocalTensor<float> square = square_buffer_.template Get<float>();
    LocalTensor<float> sine = sine_buffer_.template Get<float>();
    LocalTensor<float> cosine = cosine_buffer_.template Get<float>();
    LocalTensor<float> scratch = scratch_buffer_.template Get<float>();
    LocalTensor<float> argument = argument_buffer_.template Get<float>();

    // m = quotient mod 4 in -2 ... 2.
    Muls(scratch, quotient, 0.25f, count);
    PipeBarrier<PIPE_V>();
    round_to_integer(argument, scratch, count);
    subtract_multiple_of_four(quotient, argument, count);

    Mul(square, reduced, reduced, count);
    PipeBarrier<PIPE_V>();
    // sin r = r + r z (-1/3! + z (1/5! + z (-1/7! + z / 9!)))
    Muls(sine, square, 1.0f / 362880.0f, count);
    PipeBarrier<PIPE_V>();
    add_then_multiply(sine, -1.0f / 5040.0f, square, count);
    add_then_multiply(sine, 1.0f / 120.0f, square, count);
    add_then_multiply(sine, -1.0f / 6.0f, square, count);
    Mul(sine, sine, reduced, count);
    PipeBarrier<PIPE_V>();
    Add(sine, sine, reduced, count);
    // cos r = 1 + z (-1/2! + z (1/4! + z (-1/6! + z / 8!)))
    Muls(cosine, square, 1.0f / 40320.0f, count);
    PipeBarrier<PIPE_V>();
    add_then_multiply(cosine, -1.0f / 720.0f, square, count);
    add_then_multiply(cosine, 1.0f / 24.0f, square, count);
    add_then_multiply(cosine, -0.5f, square, count);
    Adds(cosine, cosine, 1.0f, count);

    // a = cos(m pi/2) = 1 - |m| and b = sin(m pi/2) = m (2 - |m|), in `reduced` and `square`.
    Abs(scratch, quotient, count);
    PipeBarrier<PIPE_V>();
    Muls(scratch, scratch, -1.0f, count);
    PipeBarrier<PIPE_V>();
    Adds(reduced, scratch, 1.0f, count);
    Adds(square, scratch, 2.0f, count);
    PipeBarrier<PIPE_V>();
    Mul(square, square, quotient, count);
    PipeBarrier<PIPE_V>();
    // argument = sin = sine a + cosine b; quotient = cos = cosine a - sine b.
    Mul(argument, sine, reduced, count);
    Mul(scratch, cosine, square, count);
    PipeBarrier<PIPE_V>();
    Add(argument, argument, scratch, count);
    Mul(quotient, cosine, reduced, count);
    PipeBarrier<PIPE_V>();
    Mul(scratch, sine, square, count);
    PipeBarrier<PIPE_V>();
    Sub(quotient, quotient, scratch, count);
    PipeBarrier<PIPE_V>();
  }

  __aicore__ inline void subtract_multiple_of_four(const LocalTensor<float>& from,
                                                   const LocalTensor<float>& times, int32_t count) {
    subtract_product(from, times, 4.0f, count);
  }

  /// x = (x + addend) * factor
  __aicore__ inline void add_then_multiply(const LocalTensor<float>& x, float addend,
                                           const LocalTensor<float>& factor, int32_t count) {
    Adds(x, x, addend, count);
    PipeBarrier<PIPE_V>();
    Mul(x, x, factor, count);
    PipeBarrier<PIPE_V>();
  }

  /// Rounds what compute() left to T, and writes it: a line of the tile is a row of the output.
  __aicore__ inline void store(uint32_t row, uint32_t rows, uint32_t column, uint32_t width) {
    const uint32_t tile = tiling_.tile_rows * tiling_.tile_columns;
    const int32_t count = static_cast<int32_t>(rows * tiling_.tile_columns);
    LocalTensor<T> sines = output_queue_.template AllocTensor<T>();
    LocalTensor<T> cosines = sines[tile];
    round_to(sines, argument_buffer_.template Get<float>(), count);
    round_to(cosines, quotient_buffer_.template Get<float>(), count);
    // The next tile overwrites buffers that the instructions above read.
    PipeBarrier<PIPE_V>();
    output_queue_.EnQue(sines);
    sines = output_queue_.template DeQue<T>();
    cosines = sines[tile];
    const uint64_t begin = static_cast<uint64_t>(row) * tiling_.dim + column;
    const uint64_t second = begin + tiling_.half;
    const uint32_t bytes = width * static_cast<uint32_t>(sizeof(T));
    // Between lines: in the tile blocks of LATTE_UB_BLOCK bytes, in the output bytes.
    const uint32_t gap = (tiling_.tile_columns * static_cast<uint32_t>(sizeof(T)) -
                          padded(width, static_cast<uint32_t>(sizeof(T)))) /
                         LATTE_UB_BLOCK;
    const DataCopyExtParams lines{static_cast<uint16_t>(rows), bytes, gap,
                                  (tiling_.dim - width) * static_cast<uint32_t>(sizeof(T)), 0};
    DataCopyPad(output_[tiling_.flip ? second : begin], sines, lines);
    DataCopyPad(output_[tiling_.flip ? begin : second], cosines, lines);
    output_queue_.FreeTensor(sines);
  }

  __aicore__ inline void round_to(const LocalTensor<T>& to, const LocalTensor<float>& from,
                                  int32_t count) {
    if constexpr (sizeof(T) == sizeof(float)) {
      Adds(to, from, 0.0f, count);
    } else {
      Cast(to, from, RoundMode::CAST_RINT, count);
    }
  }

  /// Writes zeros into the last column of an odd dim.
  __aicore__ inline void write_zeros(uint32_t first, uint32_t end) {
    LocalTensor<T> zeros = zero_queue_.template AllocTensor<T>();
    Duplicate(zeros.template ReinterpretCast<float>(), 0.0f,
              static_cast<int32_t>(tiling_.tile_rows * LATTE_UB_BLOCK / sizeof(float)));
    zero_queue_.EnQue(zeros);
    zeros = zero_queue_.template DeQue<T>();
    for (uint32_t row = first; row < end; row += tiling_.tile_rows) {
      const uint32_t rows = end - row < tiling_.tile_rows ? end - row : tiling_.tile_rows;
      const uint64_t at = static_cast<uint64_t>(row) * tiling_.dim + tiling_.dim - 1;
      DataCopyPad(output_[at], zeros,
                  DataCopyExtParams{static_cast<uint16_t>(rows), static_cast<uint32_t>(sizeof(T)),
                                    0, (tiling_.dim - 1) * static_cast<uint32_t>(sizeof(T)), 0});
    }
    zero_queue_.FreeTensor(zeros);
  }

  TPipe* pipe_ = nullptr;  // the entry function's; as a member it would hinder the compiler
  TQue<QuePosition::VECIN, 1> timestep_queue_;
  TQue<QuePosition::VECIN, 1> frequency_queue_;
  TQue<QuePosition::VECOUT, 2> output_queue_;
  TQue<QuePosition::VECOUT, 1> zero_queue_;
  TBuf<QuePosition::VECCALC> argument_buffer_;
  TBuf<QuePosition::VECCALC> reduced_buffer_;
  TBuf<QuePosition::VECCALC> quotient_buffer_;
  TBuf<QuePosition::VECCALC> square_buffer_;
  TBuf<QuePosition::VECCALC> sine_buffer_;
  TBuf<QuePosition::VECCALC> cosine_buffer_;
  TBuf<QuePosition::VECCALC> scratch_buffer_;
  GlobalTensor<float> timesteps_;
  GlobalTensor<float> frequencies_;
  GlobalTensor<T> output_;
  latte_timestep_tiling tiling_;
  TwoOverPi two_over_pi_;
};

}  // namespace latte_kernel

extern "C" __global__ __aicore__ void latte_timestep_projection(GM_ADDR timesteps,
                                                                GM_ADDR frequencies, GM_ADDR output,
                                                                latte_timestep_tiling tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  AscendC::TPipe pipe;
  if (tiling.dtype == LATTE_KERNEL_FLOAT32) {
    latte_kernel::TimestepProjection<float> kernel;
    kernel.run(&pipe, timesteps, frequencies, output, tiling);
  } else if (tiling.dtype == LATTE_KERNEL_FLOAT16) {
    latte_kernel::TimestepProjection<half> kernel;
    kernel.run(&pipe, timesteps, frequencies, output, tiling);
  } else {
    latte_kernel::TimestepProjection<bfloat16_t> kernel;
    kernel.run(&pipe, timesteps, frequencies, output, tiling);
  }
}
