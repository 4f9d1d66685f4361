/* The tiling that the host computes (tiling.h) and the kernels take by value. Plain structures of
 * fixed-width fields and nothing else: the toolkit's build reads them with a parser of its own. */
#ifndef LATTE_KERNEL_TILING_H
#define LATTE_KERNEL_TILING_H

#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

/* Element types of latents and outputs. */
#define LATTE_KERNEL_FLOAT32 0u
#define LATTE_KERNEL_FLOAT16 1u
#define LATTE_KERNEL_BFLOAT16 2u

/* [count] timesteps -> [count, dim]. A tile is tile_rows rows by tile_columns frequencies. */
struct latte_timestep_tiling {
  uint32_t blocks;
  uint32_t dtype;
  uint32_t count;
  uint32_t dim;
  uint32_t half;       /* dim / 2 frequencies */
  uint32_t block_rows; /* rows of one block; the last may have fewer */
  uint32_t tile_rows;
  uint32_t tile_columns; /* a multiple of 64 */
  uint32_t flip;         /* 1: [cos | sin] */
  float scale;
  float direct_limit; /* |timestep| up to which every argument of its row is at most 65536 */
};

/* Latents [outer, C, inner, H, W] -> patches [images * h * w, C * p * p]. A tile is tile_rows rows
 * of tokens by tile_columns tokens; strides count bytes. */
struct latte_patchify_tiling {
  uint64_t outer_stride;
  uint64_t inner_stride;
  uint64_t channel_stride;
  uint32_t row_stride; /* of one row of pixels */
  uint32_t blocks;
  uint32_t item_bytes; /* 2 or 4 */
  uint32_t unit_bytes; /* what is gathered at once: an item, or a pair of 16-bit ones */
  uint32_t images;
  uint32_t inner; /* image = o * inner + n */
  uint32_t channels;
  uint32_t patch;
  uint32_t token_rows; /* h = floor(H / p) */
  uint32_t token_columns;
  uint32_t tile_rows;
  uint32_t tile_columns;
  uint32_t line_bytes; /* of one row of pixels of a tile in the unified buffer */
  uint32_t tile_units; /* gathered units of a whole tile, rounded up to 64 */
};

/* Latents -> [images * h * w, dim] with bias and position table, K = C * p * p <= 64. */
struct latte_fused_tiling {
  uint64_t outer_stride; /* strides count elements */
  uint64_t inner_stride;
  uint64_t channel_stride;
  uint32_t row_stride;
  uint32_t blocks;
  uint32_t dtype;
  uint32_t images;
  uint32_t inner;
  uint32_t channels;
  uint32_t patch;
  uint32_t token_rows;
  uint32_t token_columns;
  uint32_t dim;
  uint32_t padded_dim;   /* dim, rounded up to 16 */
  uint32_t pixel_depth;  /* K of the patch: one block of 16 for each row of pixels of a patch */
  uint32_t tile_columns; /* tokens of one product: a multiple of 16 */
  uint32_t tile_dim;     /* channels of one product: a multiple of 16 */
  uint32_t has_columns;  /* whether there is a position table */
  uint32_t operand_rows; /* rows of 16-element blocks in the packed operand */
};

#endif
