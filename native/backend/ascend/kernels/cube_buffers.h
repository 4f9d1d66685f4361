/* Sizes of a 910B's cube core that the tiling and the fused kernel agree on. */
#ifndef LATTE_KERNELS_CUBE_BUFFERS_H
#define LATTE_KERNELS_CUBE_BUFFERS_H

/* A fractal is 16 rows of one block of 32 bytes: 16 elements of 16 bits, or 8 of 32 bits. */
#define LATTE_CUBE 16
#define LATTE_CUBE_BLOCK 32    /* bytes */
#define LATTE_CUBE_FRACTAL 512 /* bytes */
/* Bytes of L1's 512 KB that the fused kernel may fill; the rest is left to Ascend C's framework. */
#define LATTE_FUSED_L1_BYTES 512000
/* L0A and L0B have 64 KB each, L0C 128 KB; each holds two buffers. */
#define LATTE_FUSED_L0_BYTES 32768
#define LATTE_FUSED_L0C_BYTES 65536
/* The most tokens and columns of a tile. */
#define LATTE_FUSED_TOKENS 128
#define LATTE_FUSED_COLUMNS 512
/* The fewest bytes that one row of a tile writes, unless half a row is shorter. */
#define LATTE_FUSED_WRITE_BYTES 512
/* The most blocks of K of one product. */
#define LATTE_FUSED_CHUNK_BLOCKS 8
/* The largest stride of a copy that turns rows into fractals: its fields have 16 bits. */
#define LATTE_ND_STRIDE 65535

#endif
