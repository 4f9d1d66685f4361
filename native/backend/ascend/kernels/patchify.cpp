// Latents [outer, C, inner, H, W] -> patches [images * h * w, C * p * p]: one launch on the vector
// cores. The frames of a video are read in place; pixels that fill no patch are never read.
#include "kernel_operator.h"

#include "token_tile.h"
#include "unified_buffer.h"

namespace latte_kernel {

using namespace AscendC;

/// Copies a tile's rows of pixels to the unified buffer as lines [channel][row][pixel], each
/// beginning on a block. One gather then puts them in the order of patches, by a table of offsets
/// that is made once. Item is the type copied (16 or 32 bits). Unit is the type gathered: a pair of
/// items if they have 16 bits and p is even, else an item.
template <class Item, class Unit>
class Patchify {
 public:
  __aicore__ inline Patchify() {}
  __aicore__ inline void run(TPipe* pipe, GM_ADDR latent, GM_ADDR patches,
                             const latte_patchify_tiling& tiling) {
    pipe_ = pipe;
    tiling_ = tiling;
    latent_.SetGlobalBuffer(reinterpret_cast<__gm__ Item*>(latent));
    patches_.SetGlobalBuffer(reinterpret_cast<__gm__ Item*>(patches));
    patch_units_ =
        tiling_.patch * static_cast<uint32_t>(sizeof(Item)) / static_cast<uint32_t>(sizeof(Unit));
    depth_ = tiling_.channels * tiling_.patch * patch_units_;
    const uint32_t pixels =
        tiling_.channels * tiling_.tile_rows * tiling_.patch * tiling_.line_bytes;
    pipe_->InitBuffer(pixel_queue_, 2, pixels);
    pipe_->InitBuffer(patch_queue_, 2, tiling_.tile_units * static_cast<uint32_t>(sizeof(Unit)));
    pipe_->InitBuffer(offset_buffer_, tiling_.tile_units * static_cast<uint32_t>(sizeof(uint32_t)));
    make_offsets();

    const TokenTiles<latte_patchify_tiling> tiles(tiling_);
    const uint32_t count = tiles.count(tiling_);
    for (uint32_t tile = static_cast<uint32_t>(GetBlockIdx()); tile < count;
         tile += tiling_.blocks) {
      const TokenTile at = tiles.at(tiling_, tile);
      load(at);
      gather(at);
      store(at);
    }
  }

 private:
  /// Makes offsets[(row, column, k)], in bytes. The first tokens are written one by one until they
  /// fill whole blocks. Doubling that run fills the first row of tokens; the other rows are copies
  /// of it with a constant added.
  __aicore__ inline void make_offsets() {
    LocalTensor<uint32_t> offsets = offset_buffer_.template Get<uint32_t>();
    const uint32_t row_units = tiling_.tile_columns * depth_;
    const uint32_t token_bytes = tiling_.patch * static_cast<uint32_t>(sizeof(Item));
    uint32_t seeds = 1;
    while (seeds * depth_ % 8 != 0) seeds *= 2;
    seeds = smaller(seeds, tiling_.tile_columns);
    uint32_t at = 0;
    for (uint32_t token = 0; token < seeds; ++token) {
      uint32_t channel = 0;
      for (uint32_t c = 0; c < tiling_.channels; ++c) {
        uint32_t line = channel + token * token_bytes;
        for (uint32_t i = 0; i < tiling_.patch; ++i) {
          for (uint32_t j = 0; j < patch_units_; ++j) {
            offsets.SetValue(at, line + j * static_cast<uint32_t>(sizeof(Unit)));
            ++at;
          }
          line += tiling_.line_bytes;
        }
        channel += tiling_.tile_rows * tiling_.patch * tiling_.line_bytes;
      }
    }
    const event_t written = static_cast<event_t>(pipe_->FetchEventID(HardEvent::S_V));
    SetFlag<HardEvent::S_V>(written);
    WaitFlag<HardEvent::S_V>(written);
    LocalTensor<int32_t> numbers = offsets.template ReinterpretCast<int32_t>();
    for (uint32_t tokens = seeds; tokens < tiling_.tile_columns; tokens *= 2) {
      const uint32_t more = smaller(tokens, tiling_.tile_columns - tokens);
      Adds(numbers[tokens * depth_], numbers, static_cast<int32_t>(tokens * token_bytes),
           static_cast<int32_t>(more * depth_));
      PipeBarrier<PIPE_V>();
    }
    for (uint32_t rows = 1; rows < tiling_.tile_rows; rows *= 2) {
      const uint32_t more = smaller(rows, tiling_.tile_rows - rows);
      Adds(numbers[rows * row_units], numbers,
           static_cast<int32_t>(rows * tiling_.patch * tiling_.line_bytes),
           static_cast<int32_t>(more * row_units));
      PipeBarrier<PIPE_V>();
    }
  }

  __aicore__ inline void load(const TokenTile& at) {
    LocalTensor<Item> pixels = pixel_queue_.template AllocTensor<Item>();
    const uint32_t bytes = at.columns * tiling_.patch * static_cast<uint32_t>(sizeof(Item));
    // In a tile with fewer columns the lines lie as far apart as in a full tile.
    const uint32_t gap =
        (tiling_.line_bytes - ceil_div(bytes, LATTE_UB_BLOCK) * LATTE_UB_BLOCK) / LATTE_UB_BLOCK;
    const DataCopyExtParams lines{static_cast<uint16_t>(at.rows * tiling_.patch), bytes,
                                  tiling_.row_stride - bytes, gap, 0};
    uint64_t from = at.image / tiling_.inner * tiling_.outer_stride +
                    at.image % tiling_.inner * tiling_.inner_stride +
                    static_cast<uint64_t>(at.row) * tiling_.patch * tiling_.row_stride +
                    static_cast<uint64_t>(at.column) * tiling_.patch * sizeof(Item);
    const uint32_t channel = tiling_.tile_rows * tiling_.patch * tiling_.line_bytes;
    for (uint32_t c = 0; c < tiling_.channels; ++c) {
      DataCopyPad(pixels[c * (channel / static_cast<uint32_t>(sizeof(Item)))],
                  latent_[from / sizeof(Item)], lines, DataCopyPadExtParams<Item>{false, 0, 0, 0});
      from += tiling_.channel_stride;
    }
    pixel_queue_.EnQue(pixels);
  }

  __aicore__ inline void gather(const TokenTile& at) {
    LocalTensor<Item> pixels = pixel_queue_.template DeQue<Item>();
    LocalTensor<Item> patches = patch_queue_.template AllocTensor<Item>();
    Gather(patches.template ReinterpretCast<Unit>(), pixels.template ReinterpretCast<Unit>(),
           offset_buffer_.template Get<uint32_t>(), 0, at.rows * at.columns * depth_);
    patch_queue_.EnQue(patches);
    pixel_queue_.FreeTensor(pixels);
  }

  __aicore__ inline void store(const TokenTile& at) {
    LocalTensor<Item> patches = patch_queue_.template DeQue<Item>();
    const uint32_t depth_items =
        depth_ * static_cast<uint32_t>(sizeof(Unit)) / static_cast<uint32_t>(sizeof(Item));
    const uint64_t token =
        (static_cast<uint64_t>(at.image) * tiling_.token_rows + at.row) * tiling_.token_columns +
        at.column;
    // A tile has more than one row of tokens only if it is as wide as the frame. So its patches are
    // one run of memory.
    const uint32_t bytes = at.rows * at.columns * depth_ * static_cast<uint32_t>(sizeof(Unit));
    DataCopyPad(patches_[token * depth_items], patches, DataCopyExtParams{1, bytes, 0, 0, 0});
    patch_queue_.FreeTensor(patches);
  }

  TPipe* pipe_ = nullptr;  // the entry function's; as a member it would hinder the compiler
  TQue<QuePosition::VECIN, 2> pixel_queue_;
  TQue<QuePosition::VECOUT, 2> patch_queue_;
  TBuf<QuePosition::VECCALC> offset_buffer_;
  GlobalTensor<Item> latent_;
  GlobalTensor<Item> patches_;
  latte_patchify_tiling tiling_;
  uint32_t patch_units_ = 0;
  uint32_t depth_ = 0;
};

}  // namespace latte_kernel

extern "C" __global__ __aicore__ void latte_patchify(GM_ADDR latent, GM_ADDR patches,
                                                     latte_patchify_tiling tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  AscendC::TPipe pipe;
  if (tiling.item_bytes == 4) {
    latte_kernel::Patchify<uint32_t, uint32_t> kernel;
    kernel.run(&pipe, latent, patches, tiling);
  } else if (tiling.unit_bytes == 4) {
    latte_kernel::Patchify<uint16_t, uint32_t> kernel;
    kernel.run(&pipe, latent, patches, tiling);
  } else {
    latte_kernel::Patchify<uint16_t, uint16_t> kernel;
    kernel.run(&pipe, latent, patches, tiling);
  }
}
