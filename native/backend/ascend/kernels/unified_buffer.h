/* Sizes that the tiling and the kernels agree on. A vector core of the 910B has 192 KB of unified
 * buffer, read and written in blocks of 32 bytes. */
#ifndef LATTE_KERNELS_UNIFIED_BUFFER_H
#define LATTE_KERNELS_UNIFIED_BUFFER_H

#define LATTE_UB_BLOCK 32
/* Bytes that the patchify kernel may fill (184 KB); the rest is left to Ascend C's framework. */
#define LATTE_PATCHIFY_BYTES 188416
/* Ascend C's Gather takes 255 repeats of 64 elements (128 of 16 bits). */
#define LATTE_GATHER_UNITS (255 * 64)
/* The limits of one copy between global memory and a buffer: bursts, and bytes of a gap. */
#define LATTE_COPY_BURSTS 4095
#define LATTE_COPY_BYTES 2097152

/* Arguments that the timestep kernel holds at once. */
#define LATTE_TIMESTEP_TILE 2048
/* For arguments up to this one the multiples of pi/2 that are subtracted are exact in float32: a
 * 16-bit quotient times 8-bit pieces of pi/2. */
#define LATTE_DIRECT_ARGUMENT 65536.0

#endif
