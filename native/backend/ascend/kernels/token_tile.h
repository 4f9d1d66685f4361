/* How kernels cut the tokens of images into tiles. Include kernel_operator.h before this file. */
#ifndef LATTE_KERNELS_TOKEN_TILE_H
#define LATTE_KERNELS_TOKEN_TILE_H

#include "kernel_tiling.h"

namespace latte_kernel {

__aicore__ inline uint32_t ceil_div(uint32_t a, uint32_t b) { return (a + b - 1) / b; }
__aicore__ inline uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/// A tile: its image, first row and column of tokens, and its size in rows and columns.
struct TokenTile {
  uint32_t image, row, column, rows, columns;
};

/// Tiles of tile_rows by tile_columns tokens; those at an image's end are smaller.
template <class Tiling>
class TokenTiles {
 public:
  __aicore__ inline explicit TokenTiles(const Tiling& tiling)
      : across_(ceil_div(tiling.token_columns, tiling.tile_columns)),
        down_(ceil_div(tiling.token_rows, tiling.tile_rows)) {}

  __aicore__ inline uint32_t count(const Tiling& tiling) const {
    return tiling.images * down_ * across_;
  }
  __aicore__ inline TokenTile at(const Tiling& tiling, uint32_t tile) const {
    TokenTile at;
    at.image = tile / (down_ * across_);
    at.row = tile / across_ % down_ * tiling.tile_rows;
    at.column = tile % across_ * tiling.tile_columns;
    at.rows = smaller(tiling.tile_rows, tiling.token_rows - at.row);
    at.columns = smaller(tiling.tile_columns, tiling.token_columns - at.column);
    return at;
  }

 private:
  uint32_t across_, down_;
};

}  // namespace latte_kernel

#endif
