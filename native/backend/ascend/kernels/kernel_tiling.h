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
  /* The first 256 bits of 2/pi, most significant word first. Constants in the kernel could become a
   * table in memory that a core does not reach. The toolkit's parser does not know arrays. */
  uint32_t two_over_pi_1;
  uint32_t two_over_pi_2;
  uint32_t two_over_pi_3;
  uint32_t two_over_pi_4;
  uint32_t two_over_pi_5;
  uint32_t two_over_pi_6;
  uint32_t two_over_pi_7;
  uint32_t two_over_pi_8;
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

/* Latents [outer, C, inner, H, W] -> [images * h * w, dim] with bias and position table, for
 * K = C * p * p <= 64; patch_projection.cpp explains the names. Strides count elements; a block is
 * 32 bytes of K. */
struct latte_fused_tiling {
  uint64_t outer_stride;
  uint64_t inner_stride;
  uint64_t channel_stride;
  uint32_t row_stride; /* of one row of pixels */
  uint32_t blocks;
  uint32_t dtype;
  uint32_t images;
  uint32_t inner; /* image = o * inner + n */
  uint32_t channels;
  uint32_t patch;
  uint32_t token_rows; /* h = floor(H / p) */
  uint32_t token_columns;
  uint32_t dim;
  uint32_t transposed;    /* 1: rows of pixels become patches on their way to L0A */
  uint32_t tile_rows;     /* tokens of a tile: a power of two rows */
  uint32_t tile_columns;  /* more than one row only where this is token_columns */
  uint32_t tile_pitch;    /* from one row of tokens to the next in the left operand */
  uint32_t tile_tokens;   /* rows of the left operand: a multiple of 16 */
  uint32_t patch_blocks;  /* K of the patches */
  uint32_t column_blocks; /* K of a tile's one-hot columns; without a table of its ones: 1 */
  uint32_t row_blocks;    /* K of its one-hot rows; 0: no position table */
  uint32_t row_variants;  /* by where in a block of rows a tile begins */
  uint32_t table_blocks;  /* K of the larger half of the table, in the right operand */
  uint32_t table_parts;   /* numbers of the type whose scaled sum is a value of the table */
  uint32_t one_hot_sets;  /* 2: those of the lower part of the table have a scale of their own */
  uint32_t chunk_blocks;  /* K of one product at most */
  uint32_t split;         /* where the half of the columns ends: dim / 2, or dim without a table */
  uint32_t tile_dim;      /* columns of the right operand of a product: a multiple of 16 */
  uint32_t split_tiles;   /* tiles of columns before `split` */
  uint32_t dim_tiles;     /* of all columns */
  uint32_t group_tiles;   /* tiles of columns whose operands stay in L1 together */
  uint32_t groups;
};

#endif
