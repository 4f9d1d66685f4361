// The instructions of the cube core, as intrinsics.h has those of the vector core. A fractal is 16
// rows of 32 bytes; addresses of the bias table are numbers.
#pragma once

#include "intrinsics.h"

enum pad_t : unsigned { PAD_NONE = 0 };

// Device memory -> L1. Blocks of 32 bytes; or rows of elements, which become columns of blocks with
// zeros behind the last element: strides of the source count elements, those of the target blocks
// (between matrices: elements).
void copy_gm_to_cbuf(void* to, void* from, uint8_t sid, uint16_t bursts, uint16_t length,
                     uint16_t from_gap, uint16_t to_gap, pad_t pad);
#define LATTE_MODEL_ROWS(name, T)                                                             \
  void name(T* to, T* from, uint8_t sid, uint16_t matrices, uint16_t rows, uint16_t elements, \
            uint16_t matrix_stride, uint16_t row_stride, uint16_t to_block_stride,            \
            uint16_t to_row_stride, uint16_t to_matrix_stride);
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b16, float16::Fp16T)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b16, bfloat16::Bf16T)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b32s, uint32_t)
LATTE_MODEL_ROWS(copy_gm_to_cbuf_multi_nd2nz_b32s, float)
#undef LATTE_MODEL_ROWS
/// Bits 0 to 14 of `fields` repeats, 16 to 30 blocks of each, 32 to 46 the gap between them.
void create_cbuf_matrix(uint32_t* to, int64_t fields, uint32_t value);

// L1 -> L0A, L0B: fractals, or square matrices that are transposed (two fractals of 32-bit items).
#define LATTE_MODEL_LOAD(name, T)                                                                  \
  void name(T* to, T* from, uint16_t first, uint8_t repeat, uint16_t from_stride, uint16_t to_gap, \
            uint8_t sid, bool transpose, addr_cal_mode_t mode);
LATTE_MODEL_LOAD(load_cbuf_to_ca, float16::Fp16T)
LATTE_MODEL_LOAD(load_cbuf_to_ca, bfloat16::Bf16T)
LATTE_MODEL_LOAD(load_cbuf_to_ca, float)
LATTE_MODEL_LOAD(load_cbuf_to_cb, float16::Fp16T)
LATTE_MODEL_LOAD(load_cbuf_to_cb, bfloat16::Bf16T)
LATTE_MODEL_LOAD(load_cbuf_to_cb, float)
#undef LATTE_MODEL_LOAD
#define LATTE_MODEL_LOAD_TRANSPOSED(T)                                                  \
  void load_cbuf_to_ca_transpose(T* to, T* from, uint16_t first, uint8_t repeat,        \
                                 uint16_t from_stride, uint16_t to_gap, bool decrement, \
                                 uint16_t to_fractal_gap);
LATTE_MODEL_LOAD_TRANSPOSED(float16::Fp16T)
LATTE_MODEL_LOAD_TRANSPOSED(bfloat16::Bf16T)
LATTE_MODEL_LOAD_TRANSPOSED(uint32_t)
LATTE_MODEL_LOAD_TRANSPOSED(float)
#undef LATTE_MODEL_LOAD_TRANSPOSED
/// Bursts of 64 bytes.
void copy_cbuf_to_bt(uint64_t to, void* from, uint16_t convert, uint16_t bursts, uint16_t length,
                     uint16_t from_gap, uint16_t to_gap);

/// The control register. While bit 46 is set, products of float32 round their operands to HF32.
uint64_t get_ctrl();
void set_ctrl(uint64_t bits);

// c [m, n] = a [m, k] b [k, n] + zeros, the bias table or c.
#define LATTE_MODEL_PRODUCT(T)                                                          \
  void mad(float* c, T* a, T* b, uint16_t m, uint16_t k, uint16_t n, uint8_t unit_flag, \
           bool align_k, bool from_table, bool from_zero);                              \
  void mad(float* c, T* a, T* b, uint64_t bias, uint16_t m, uint16_t k, uint16_t n,     \
           uint8_t unit_flag, bool align_k, bool from_table, bool from_zero);
LATTE_MODEL_PRODUCT(float16::Fp16T)
LATTE_MODEL_PRODUCT(bfloat16::Bf16T)
LATTE_MODEL_PRODUCT(float)
#undef LATTE_MODEL_PRODUCT

// L0C -> device memory: rows of `columns` elements, each `to_stride` elements after the other.
/// Bits 0 to 15 matrices, 16 to 31 their distance in L0C, 32 to 47 in device memory.
void set_nd_para(uint64_t fields);
#define LATTE_MODEL_STORE(T)                                                                  \
  void copy_matrix_cc_to_gm(T* to, float* from, uint8_t sid, uint16_t columns, uint16_t rows, \
                            uint32_t to_stride, uint16_t from_stride, uint8_t unit_flag,      \
                            QuantMode_t round, uint8_t relu, bool split, bool row_major);
LATTE_MODEL_STORE(float16::Fp16T)
LATTE_MODEL_STORE(bfloat16::Bf16T)
LATTE_MODEL_STORE(float)
#undef LATTE_MODEL_STORE
