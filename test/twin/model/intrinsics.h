// The compiler's instructions that our kernels compile to, with the names and parameters by which
// Ascend C's headers call them. Both the small header in test/twin/ascendc and the toolkit's own
// headers call them. Declared in our own words.
#pragma once

#include <cstdint>

// The names that the toolkit's headers give 16-bit types.
namespace float16 {
struct Fp16T;
}
namespace bfloat16 {
struct Bf16T;
}

enum pipe_t : unsigned {
  PIPE_S = 0,
  PIPE_V = 1,
  PIPE_M = 2,
  PIPE_MTE1 = 3,
  PIPE_MTE2 = 4,
  PIPE_MTE3 = 5,
  PIPE_ALL = 6,
  PIPE_FIX = 10,
};
enum event_t : unsigned { EVENT_ID0 = 0 };
enum QuantMode_t : unsigned { NoQuant = 0, F322F16 = 1, F322BF16 = 16 };
enum addr_cal_mode_t : unsigned { inc = 0, dec = 1 };

void set_flag(pipe_t from, pipe_t to, event_t event);
void wait_flag(pipe_t from, pipe_t to, event_t event);
void pipe_barrier(pipe_t pipe);

void set_mask_count();
void set_mask_norm();
void set_vector_mask(uint64_t high, uint64_t low);
void set_mov_pad_val(uint64_t value);

// Vector: repeats of 8 blocks of 32 bytes; strides count blocks.
void vector_dup(float* to, float value, uint8_t repeat, uint16_t to_block, uint16_t from_block,
                uint8_t to_repeat, uint8_t from_repeat);
void vabs(float* to, float* from, uint8_t repeat, uint16_t to_block, uint16_t from_block,
          uint8_t to_repeat, uint8_t from_repeat);
#define LATTE_MODEL_BINARY(name)                                                              \
  void name(float* to, float* a, float* b, uint8_t repeat, uint8_t to_block, uint8_t a_block, \
            uint8_t b_block, uint8_t to_repeat, uint8_t a_repeat, uint8_t b_repeat);
LATTE_MODEL_BINARY(vadd)
LATTE_MODEL_BINARY(vsub)
LATTE_MODEL_BINARY(vmul)
#undef LATTE_MODEL_BINARY
void vadds(float* to, float* from, float scalar, uint8_t repeat, uint16_t to_block,
           uint16_t from_block, uint16_t to_repeat, uint16_t from_repeat);
void vadds(int32_t* to, int32_t* from, int32_t scalar, uint8_t repeat, uint16_t to_block,
           uint16_t from_block, uint16_t to_repeat, uint16_t from_repeat);
void vmuls(float* to, float* from, float scalar, uint8_t repeat, uint16_t to_block,
           uint16_t from_block, uint16_t to_repeat, uint16_t from_repeat);

// Conversions: the last letter rounds to nearest even (r), away (a), down (f), up (c), to zero (z)
// or to odd (o).
#define LATTE_MODEL_CONVERT_WIDE(name, To, From)                                        \
  void name(To* to, From* from, uint8_t repeat, uint16_t to_block, uint16_t from_block, \
            uint16_t to_repeat, uint16_t from_repeat);
#define LATTE_MODEL_CONVERT(name, To, From)                                             \
  void name(To* to, From* from, uint8_t repeat, uint16_t to_block, uint16_t from_block, \
            uint8_t to_repeat, uint8_t from_repeat);
#define LATTE_MODEL_CONVERSIONS(WIDE, NARROW)   \
  WIDE(vconv_f322bf16a, bfloat16::Bf16T, float) \
  WIDE(vconv_f322bf16c, bfloat16::Bf16T, float) \
  WIDE(vconv_f322bf16f, bfloat16::Bf16T, float) \
  WIDE(vconv_f322bf16r, bfloat16::Bf16T, float) \
  WIDE(vconv_f322bf16z, bfloat16::Bf16T, float) \
  NARROW(vconv_f322f16, float16::Fp16T, float)  \
  WIDE(vconv_f322f16a, float16::Fp16T, float)   \
  WIDE(vconv_f322f16c, float16::Fp16T, float)   \
  WIDE(vconv_f322f16f, float16::Fp16T, float)   \
  NARROW(vconv_f322f16o, float16::Fp16T, float) \
  WIDE(vconv_f322f16r, float16::Fp16T, float)   \
  WIDE(vconv_f322f16z, float16::Fp16T, float)   \
  NARROW(vconv_f322s32a, int32_t, float)        \
  NARROW(vconv_f322s32c, int32_t, float)        \
  NARROW(vconv_f322s32f, int32_t, float)        \
  NARROW(vconv_f322s32r, int32_t, float)        \
  NARROW(vconv_f322s32z, int32_t, float)        \
  NARROW(vconv_s322f32, float, int32_t)         \
  WIDE(vconv_s322f32a, float, int32_t)          \
  WIDE(vconv_s322f32c, float, int32_t)          \
  WIDE(vconv_s322f32f, float, int32_t)          \
  WIDE(vconv_s322f32r, float, int32_t)          \
  WIDE(vconv_s322f32z, float, int32_t)
LATTE_MODEL_CONVERSIONS(LATTE_MODEL_CONVERT_WIDE, LATTE_MODEL_CONVERT)

/// Gathers; offsets are bytes from the base that SetModelGatherbSrc0Tensor has named.
void vgather(uint16_t* to, uint32_t* offsets, uint32_t base, uint16_t to_repeat, uint8_t repeat);
void vgather(uint32_t* to, uint32_t* offsets, uint32_t base, uint16_t to_repeat, uint8_t repeat);
namespace AscendC {
void SetModelGatherbSrc0Tensor(uint64_t base, const uint32_t length);
}

// Copies: lengths in bytes; gaps in bytes on the side of device memory, in blocks on the other.
#define LATTE_MODEL_COPY_IN(name)                                                              \
  void name(void* to, void* from, uint8_t sid, uint16_t bursts, uint32_t length, uint8_t left, \
            uint8_t right, uint32_t from_gap, uint32_t to_gap);
LATTE_MODEL_COPY_IN(copy_gm_to_ubuf_align_b16)
LATTE_MODEL_COPY_IN(copy_gm_to_ubuf_align_b32)
LATTE_MODEL_COPY_IN(copy_ubuf_to_gm_align_b16)
LATTE_MODEL_COPY_IN(copy_ubuf_to_gm_align_b32)
#undef LATTE_MODEL_COPY_IN
