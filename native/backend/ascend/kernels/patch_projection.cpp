// Latents [outer, C, inner, H, W] -> [images * h * w, dim], for K = C * p * p <= 64: gather,
// product, bias and position table in one launch on the cube cores, in float32, float16 and
// bfloat16.
//
// Global memory is what such a product waits for: at Latte's shape (16 frames of 64 x 64 pixels,
// p = 2, C = 4, dim = 1152, 16-bit types) 0.5 MB go in and 37.7 MB come out. So each pixel is read
// once from it, each result written once, and nothing goes through it in between:
//
// - The cube cores gather the patches themselves. Vector cores would have to hand them over through
//   global memory, which costs two more passes over the input and a synchronisation of cores.
// - A row of pixels of a patch that has 16 or 32 bits (p <= 2, in float32 p = 1) is one element.
//   Rows of pixels are then copied to L1 as they are, [line = (channel, row of the patch)][token],
//   and transposed on their way to L0A, which leaves no hole in K. Otherwise the copy puts each line
//   of a patch into a block of its own (32 bytes, zeros behind the pixels): K grows, but stays on
//   the chip.
// - Position table: its first dim / 2 columns depend on a token's column alone, the others on its
//   row (SEPARABLE). Each half is a product, too: one-hot(column) x columns table. So its rows are
//   further rows of the right operand, and its one-hot vectors further columns of the left one. A
//   tile of columns of the result needs one of the halves only. The one-hot vectors are those of
//   positions in a tile: constant, made on the host, and in L1 from the start.
// - The table is not rounded to 16 bits. It comes as a sum of two (float16) or three (bfloat16)
//   numbers of 16 bits, each with rows of its own. In float16 the lower one is scaled by 2^11, or it
//   would be subnormal; its one-hot vectors hold 2^-11. float32 needs one number: 1 times a number
//   is that number unless the cube computes in HF32, which is switched off.
// - Bias: added to every row of the table on the host. Without a table there is a table of one row,
//   the bias, which every token takes. The bias table of the cube core would hold 256 columns.
//   The host does not use this kernel if a value of such a table is infinite, because 0 times it
//   would make NaN in other tokens.
//
// The right operand stays in L1 for a whole launch. If it does not fit, its tiles of columns are
// dealt to groups of cores. Tiles of columns divide the half of a row without a rest where they
// can, and write at least 512 bytes a row; L0C then decides how many tokens a tile has. Copies,
// loads, products and stores of neighbouring tiles overlap: their buffers exist twice.
//
// FIXPIPE rounds to nearest even, and saturates where float16 overflows.
#include "kernel_operator.h"

#include "cube_buffers.h"
#include "token_tile.h"

namespace latte_kernel {

using namespace AscendC;

template <class T>
class PatchProjection {
 public:
  /// Elements of a block, and of a fractal.
  static constexpr uint32_t kBlock = LATTE_CUBE_BLOCK / static_cast<uint32_t>(sizeof(T));
  static constexpr uint32_t kFractal = LATTE_CUBE_FRACTAL / static_cast<uint32_t>(sizeof(T));

  __aicore__ inline PatchProjection() {}
  __aicore__ inline void run(TPipe* pipe, GM_ADDR latent, GM_ADDR operand, GM_ADDR output,
                             const latte_fused_tiling& tiling) {
    pipe_ = pipe;
    tiling_ = tiling;
    // A kernel that ran before on this core may have left HF32 switched on.
    if constexpr (sizeof(T) == sizeof(float)) SetHF32Mode(false);
    latent_ = reinterpret_cast<__gm__ T*>(latent);
    operand_.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(operand));
    output_.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(output));
    column_elements_ = tiling_.column_blocks * tiling_.tile_tokens * kBlock;
    row_elements_ = tiling_.row_blocks * tiling_.tile_tokens * kBlock;
    one_hot_set_ = column_elements_ + tiling_.row_variants * row_elements_;
    one_hot_elements_ = tiling_.one_hot_sets * one_hot_set_;
    slot_elements_ = (tiling_.patch_blocks + tiling_.table_parts * tiling_.table_blocks) *
                     tiling_.tile_dim * kBlock;
    init_buffers();

    const TokenTiles<latte_fused_tiling> tiles(tiling_);
    const uint32_t count = tiles.count(tiling_);
    const uint32_t abreast = smaller(tiling_.groups, tiling_.blocks);  // groups at a time
    const uint32_t parts = tiling_.blocks / abreast;
    const uint32_t block = static_cast<uint32_t>(GetBlockIdx());
    for (uint32_t group = block / parts; group < tiling_.groups; group += abreast) {
      load_operand(group);
      uint32_t tile = block % parts;
      if (tile < count) load(tiles.at(tiling_, tile));
      for (; tile < count; tile += parts) {
        if (tile + parts < count) load(tiles.at(tiling_, tile + parts));
        project(tiles.at(tiling_, tile), group);
      }
      operand_queue_.FreeTensor(right_);
    }
  }

 private:
  /// The part of the position table that a tile of columns needs.
  struct Table {
    LocalTensor<T> one_hot;
    uint32_t blocks;  // blocks of K of each part of the values
    uint32_t first;   // the first block of such a part
  };

  __aicore__ inline void init_buffers() {
    const uint32_t chunk = tiling_.chunk_blocks * LATTE_CUBE_BLOCK;
    pipe_->InitBuffer(patch_queue_, 2,
                      tiling_.patch_blocks * tiling_.tile_tokens * LATTE_CUBE_BLOCK);
    pipe_->InitBuffer(operand_queue_, 1,
                      (one_hot_elements_ + tiling_.group_tiles * slot_elements_) *
                          static_cast<uint32_t>(sizeof(T)));
    // Of the eight flags from the cube to the loads the framework keeps three; the two halves of
    // L0A and L0B take four.
    pipe_->InitBuffer(left_queue_, 2, tiling_.tile_tokens * chunk);
    pipe_->InitBuffer(right_queue_, 2, tiling_.tile_dim * chunk);
    pipe_->InitBuffer(
        sum_queue_, 2,
        tiling_.tile_tokens * tiling_.tile_dim * static_cast<uint32_t>(sizeof(float)));
  }

  /// The fractals (16 tokens each) that a tile fills.
  __aicore__ inline uint32_t fractals_of(const TokenTile& at) const {
    return ceil_div((at.rows - 1) * tiling_.tile_pitch + at.columns, LATTE_CUBE);
  }

  /// Loads the one-hot vectors, and bias, weights and table of a group of tiles of columns.
  __aicore__ inline void load_operand(uint32_t group) {
    right_ = operand_queue_.template AllocTensor<T>();
    copy_blocks(right_, 0, one_hot_elements_);
    const uint32_t first = group * tiling_.group_tiles;
    const uint32_t count = smaller(tiling_.group_tiles, tiling_.dim_tiles - first);
    copy_blocks(right_[one_hot_elements_],
                one_hot_elements_ + static_cast<uint64_t>(first) * slot_elements_,
                count * slot_elements_);
    operand_queue_.EnQue(right_);
    right_ = operand_queue_.template DeQue<T>();
  }

  __aicore__ inline void copy_blocks(const LocalTensor<T>& to, uint64_t from, uint32_t elements) {
    DataCopyParams blocks;
    blocks.blockCount = 1;
    blocks.blockLen = static_cast<uint16_t>(elements / kBlock);
    DataCopy(to, operand_[from], blocks);
  }

  __aicore__ inline void load(const TokenTile& at) {
    LocalTensor<T> patches = patch_queue_.template AllocTensor<T>();
    // Both buffers are cleared at their first use. The product also reads rows of the left operand
    // that belong to no token, and lines that pad a block, so these must be finite.
    if (cleared_ < 2) {
      ++cleared_;
      InitConstValueParams<uint32_t> zeros;
      zeros.repeatTimes = 1;
      zeros.blockNum = static_cast<uint16_t>(tiling_.patch_blocks * tiling_.tile_tokens);
      InitConstValue(patches.template ReinterpretCast<uint32_t>(), zeros);
      PipeBarrier<PIPE_MTE2>();
    }
    uint64_t from = at.image / tiling_.inner * tiling_.outer_stride +
                    at.image % tiling_.inner * tiling_.inner_stride +
                    static_cast<uint64_t>(at.row) * tiling_.patch * tiling_.row_stride +
                    static_cast<uint64_t>(at.column) * tiling_.patch;
    uint32_t line = 0;
    for (uint32_t c = 0; c < tiling_.channels; ++c) {
      for (uint32_t i = 0; i < tiling_.patch; ++i) {
        copy_line(patches, line, from + static_cast<uint64_t>(i) * tiling_.row_stride, at);
        ++line;
      }
      from += tiling_.channel_stride;
    }
    patch_queue_.EnQue(patches);
  }

  /// Copies one row of pixels of all patches of a tile; each of the tile's rows of tokens is one
  /// matrix of the copy.
  __aicore__ inline void copy_line(const LocalTensor<T>& patches, uint32_t line, uint64_t from,
                                   const TokenTile& at) {
    Nd2NzParams rows;
    rows.ndNum = static_cast<uint16_t>(at.rows);
    rows.dstNzNStride = 1;
    if (tiling_.transposed == 0) {
      rows.dstNzMatrixStride = static_cast<uint16_t>(at.rows > 1 ? tiling_.tile_pitch * kBlock : 0);
      rows.nValue = static_cast<uint16_t>(at.columns);
      rows.dValue = static_cast<uint16_t>(tiling_.patch);
      rows.srcNdMatrixStride =
          static_cast<uint16_t>(at.rows > 1 ? tiling_.patch * tiling_.row_stride : 0);
      rows.srcDValue = static_cast<uint16_t>(tiling_.patch);
      rows.dstNzC0Stride = 1;
      GlobalTensor<T> pixels;
      pixels.SetGlobalBuffer(latent_ + from);
      DataCopy(patches[line * tiling_.tile_tokens * kBlock], pixels, rows);
      return;
    }
    // Each element is a row of a patch; 16 lines lie above one another.
    rows.dstNzMatrixStride =
        static_cast<uint16_t>(at.rows > 1 ? tiling_.tile_pitch * LATTE_CUBE : 0);
    rows.nValue = 1;
    rows.dValue = static_cast<uint16_t>(at.columns);
    rows.srcNdMatrixStride = static_cast<uint16_t>(at.rows > 1 ? tiling_.row_stride : 0);
    rows.srcDValue = static_cast<uint16_t>(at.columns);
    rows.dstNzC0Stride = LATTE_CUBE;
    const LocalTensor<T> to =
        patches[line / LATTE_CUBE * tiling_.tile_tokens * LATTE_CUBE * tiling_.patch +
                line % LATTE_CUBE * kBlock];
    if (tiling_.patch == 1 && sizeof(T) == sizeof(half)) {
      GlobalTensor<T> pixels;
      pixels.SetGlobalBuffer(latent_ + from);
      DataCopy(to, pixels, rows);
    } else {
      GlobalTensor<uint32_t> pixels;
      pixels.SetGlobalBuffer(reinterpret_cast<__gm__ uint32_t*>(latent_ + from));
      DataCopy(to.template ReinterpretCast<uint32_t>(), pixels, rows);
    }
  }

  __aicore__ inline void project(const TokenTile& at, uint32_t group) {
    LocalTensor<T> patches = patch_queue_.template DeQue<T>();
    const uint32_t first = group * tiling_.group_tiles;
    const uint32_t end = smaller(first + tiling_.group_tiles, tiling_.dim_tiles);
    for (uint32_t n = first; n < end; ++n) {
      project_columns(at, patches, n, right_[one_hot_elements_ + (n - first) * slot_elements_]);
    }
    patch_queue_.FreeTensor(patches);
  }

  __aicore__ inline void project_columns(const TokenTile& at, const LocalTensor<T>& patches,
                                         uint32_t n, const LocalTensor<T>& slot) {
    const Table table = table_of(at, n < tiling_.split_tiles);
    const uint32_t blocks = tiling_.patch_blocks + tiling_.table_parts * table.blocks;
    LocalTensor<float> sums = sum_queue_.template AllocTensor<float>();
    for (uint32_t block = 0; block < blocks; block += tiling_.chunk_blocks) {
      const uint32_t count = smaller(tiling_.chunk_blocks, blocks - block);
      load_left(at, patches, table, block, count);
      load_right(slot, table, block, count);
      multiply(at, sums, block == 0, count);
    }
    sum_queue_.EnQue(sums);
    store(at, n);
  }

  __aicore__ inline Table table_of(const TokenTile& at, bool columns) {
    Table table;
    if (tiling_.row_variants == 0) {
      table.one_hot = right_;
      table.blocks = 1;
      table.first = 0;
      return table;
    }
    const uint32_t begin = columns ? at.column : at.row;
    table.first = begin / kBlock;
    if (columns) {
      table.one_hot = right_;
      table.blocks = ceil_div(at.columns, kBlock);
    } else {
      const uint32_t variant = begin % kBlock / tiling_.tile_rows;
      table.one_hot = right_[column_elements_ + variant * row_elements_];
      table.blocks = ceil_div(at.rows, kBlock);
    }
    return table;
  }

  /// Loads blocks of the left operand as fractals [tokens / 16][count].
  __aicore__ inline void load_left(const TokenTile& at, const LocalTensor<T>& patches,
                                   const Table& table, uint32_t first, uint32_t count) {
    LocalTensor<T> left = left_queue_.template AllocTensor<T>();
    const uint32_t block_elements = tiling_.tile_tokens * kBlock;
    LoadData2DParams straight;
    straight.repeatTimes = static_cast<uint8_t>(fractals_of(at));
    straight.srcStride = 1;
    straight.dstGap = static_cast<uint16_t>(count - 1);
    LoadData2dTransposeParams turned;
    turned.repeatTimes = static_cast<uint8_t>(fractals_of(at));
    turned.srcStride = 1;
    turned.dstGap = static_cast<uint16_t>(count - 1);
    uint32_t b = 0;
    while (b < count) {
      const uint32_t block = first + b;
      const LocalTensor<T> to = left[b * kFractal];
      if (block >= tiling_.patch_blocks) {
        const uint32_t within = (block - tiling_.patch_blocks) % table.blocks;
        const uint32_t part = (block - tiling_.patch_blocks) / table.blocks;
        const uint32_t set = smaller(part, tiling_.one_hot_sets - 1);
        LoadData(to, table.one_hot[set * one_hot_set_ + within * block_elements], straight);
        ++b;
      } else if (tiling_.transposed == 0) {
        LoadData(to, patches[block * block_elements], straight);
        ++b;
      } else if (tiling_.patch == 1 && sizeof(T) == sizeof(half)) {
        LoadDataWithTranspose(to, patches[block * block_elements], turned);
        ++b;
      } else {
        // 16 lines of 32 bits become two blocks.
        LoadDataWithTranspose(to.template ReinterpretCast<uint32_t>(),
                              patches[block * block_elements].template ReinterpretCast<uint32_t>(),
                              turned);
        b += 2;
      }
    }
    left_queue_.EnQue(left);
  }

  /// Loads blocks of the right operand as fractals [count][columns / 16], as they lie in L1.
  __aicore__ inline void load_right(const LocalTensor<T>& operand, const Table& table,
                                    uint32_t first, uint32_t count) {
    LocalTensor<T> right = right_queue_.template AllocTensor<T>();
    const uint32_t block_elements = tiling_.tile_dim * kBlock;
    uint32_t b = 0;
    while (b < count) {
      uint32_t block = first + b;
      uint32_t run = 0;  // blocks that lie side by side
      if (block < tiling_.patch_blocks) {
        run = tiling_.patch_blocks - block;
      } else {
        const uint32_t within = (block - tiling_.patch_blocks) % table.blocks;
        const uint32_t part = (block - tiling_.patch_blocks) / table.blocks;
        run = table.blocks - within;
        block = tiling_.patch_blocks + part * tiling_.table_blocks + table.first + within;
      }
      run = smaller(run, count - b);
      load_blocks(right[b * block_elements], operand[block * block_elements], run);
      b += run;
    }
    right_queue_.EnQue(right);
  }

  __aicore__ inline void load_blocks(const LocalTensor<T>& to, const LocalTensor<T>& from,
                                     uint32_t blocks) {
    LoadData2DParams fractals;
    fractals.repeatTimes = static_cast<uint8_t>(blocks * (tiling_.tile_dim / LATTE_CUBE));
    fractals.srcStride = 1;
    LoadData(to, from, fractals);
  }

  __aicore__ inline void multiply(const TokenTile& at, const LocalTensor<float>& sums, bool begin,
                                  uint32_t count) {
    LocalTensor<T> left = left_queue_.template DeQue<T>();
    LocalTensor<T> right = right_queue_.template DeQue<T>();
    MmadParams product;
    // Always whole fractals, because the cube would read a single row as a vector.
    product.m = static_cast<uint16_t>(fractals_of(at) * LATTE_CUBE);
    product.n = static_cast<uint16_t>(tiling_.tile_dim);
    product.k = static_cast<uint16_t>(count * kBlock);
    product.cmatrixInitVal = begin;
    if (!begin) PipeBarrier<PIPE_M>();
    Mmad(sums, left, right, product);
    left_queue_.FreeTensor(left);
    right_queue_.FreeTensor(right);
  }

  __aicore__ inline void store(const TokenTile& at, uint32_t n) {
    LocalTensor<float> sums = sum_queue_.template DeQue<float>();
    const bool of_columns = n < tiling_.split_tiles;
    const uint32_t begin = of_columns
                               ? n * tiling_.tile_dim
                               : tiling_.split + (n - tiling_.split_tiles) * tiling_.tile_dim;
    const uint32_t end = of_columns ? tiling_.split : tiling_.dim;
    FixpipeParamsV220 result;
    result.nSize = static_cast<uint16_t>(smaller(tiling_.tile_dim, end - begin));
    result.srcStride = static_cast<uint16_t>(fractals_of(at) * LATTE_CUBE);
    result.dstStride = tiling_.dim;
    result.quantPre = tiling_.dtype == LATTE_KERNEL_FLOAT32   ? QuantMode_t::NoQuant
                      : tiling_.dtype == LATTE_KERNEL_FLOAT16 ? QuantMode_t::F322F16
                                                              : QuantMode_t::F322BF16;
    const uint64_t token =
        (static_cast<uint64_t>(at.image) * tiling_.token_rows + at.row) * tiling_.token_columns +
        at.column;
    // Rows of tokens without a gap between them are one run, in L0C and in device memory.
    const bool dense = at.columns == tiling_.tile_pitch;
    const uint32_t runs = dense ? 1 : at.rows;
    result.mSize = static_cast<uint16_t>(dense ? at.rows * at.columns : at.columns);
    for (uint32_t r = 0; r < runs; ++r) {
      const uint64_t to = token + static_cast<uint64_t>(r) * tiling_.token_columns;
      Fixpipe<T, float, CFG_ROW_MAJOR>(output_[to * tiling_.dim + begin],
                                       sums[r * tiling_.tile_pitch * LATTE_CUBE], result);
    }
    sum_queue_.FreeTensor(sums);
  }

  TPipe* pipe_ = nullptr;  // the entry function's; as a member it would hinder the compiler
  TQue<QuePosition::A1, 2> patch_queue_;
  TQue<QuePosition::B1, 1> operand_queue_;
  TQue<QuePosition::A2, 2> left_queue_;
  TQue<QuePosition::B2, 2> right_queue_;
  TQue<QuePosition::CO1, 2> sum_queue_;
  __gm__ T* latent_ = nullptr;
  GlobalTensor<T> operand_;
  GlobalTensor<T> output_;
  LocalTensor<T> right_;  // one-hot vectors and right operands of the group
  latte_fused_tiling tiling_;
  uint32_t column_elements_ = 0;
  uint32_t row_elements_ = 0;  // elements of one variant of the one-hot rows
  uint32_t one_hot_set_ = 0;   // elements of a set of one-hot vectors
  uint32_t one_hot_elements_ = 0;
  uint32_t slot_elements_ = 0;
  uint32_t cleared_ = 0;
};

}  // namespace latte_kernel

extern "C" __global__ __aicore__ void latte_patch_projection(GM_ADDR latent, GM_ADDR operand,
                                                             GM_ADDR output,
                                                             latte_fused_tiling tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  AscendC::TPipe pipe;
  if (tiling.dtype == LATTE_KERNEL_FLOAT32) {
    latte_kernel::PatchProjection<float> kernel;
    kernel.run(&pipe, latent, operand, output, tiling);
  } else if (tiling.dtype == LATTE_KERNEL_FLOAT16) {
    latte_kernel::PatchProjection<half> kernel;
    kernel.run(&pipe, latent, operand, output, tiling);
  } else {
    latte_kernel::PatchProjection<bfloat16_t> kernel;
    kernel.run(&pipe, latent, operand, output, tiling);
  }
}
