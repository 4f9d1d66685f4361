/* Sizes of a 910B's cube core that the tiling and the fused kernel agree on. */
#ifndef LATTE_KERNELS_CUBE_BUFFERS_H
#define LATTE_KERNELS_CUBE_BUFFERS_H

/* A fractal is 16 rows of one block: 16 elements of 16 bits. */
#define LATTE_CUBE 16
#define LATTE_FRACTAL 256 /* elements */
/* What the fused kernel may fill of L1's 512 KB; the rest stays free for the framework. */
#define LATTE_FUSED_L1_BYTES 512000
/* Two buffers of this many rows or columns fill L0A and L0B (64 KB) and L0C (128 KB). */
#define LATTE_FUSED_TILE 128
#define LATTE_FUSED_CHUNK_BLOCKS 8
/* Fields of a copy that turns rows into fractals. */
#define LATTE_ND_STRIDE 65535

#endif
