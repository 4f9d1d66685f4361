// BFMMLA multiplies two rows of A, four of K each, with two columns of B, and adds the 2 × 2
// products to a register: a block. Blocks become rows, and rows blocks, by zips of 64-bit halves.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <algorithm>

#include "backend/cpu/simd/bfloat_dot.h"
#include "backend/cpu/simd/processor.h"
#include "backend/cpu/simd/targets.h"

// No lambdas below: they would be compiled without these instructions.
#if defined(__clang__)
#define LATTE_BF16 __attribute__((target("bf16")))
#define LATTE_BF16_INLINE __attribute__((target("bf16"), always_inline)) inline
#else
#define LATTE_BF16 __attribute__((target("arch=armv8.2-a+bf16")))
#define LATTE_BF16_INLINE __attribute__((target("arch=armv8.2-a+bf16"), always_inline)) inline
#endif

namespace latte::cpu {

bool has_bfloat_dot() { return target() == Target::kNeonBf16; }

namespace {

constexpr int kLanes = 4;
constexpr int kVectors = kBFloatDotPanel / kLanes;  // of a row
constexpr int kBlocks = kBFloatDotPanel / 2;        // of two rows

/// Of two rows and one panel.
using Blocks = float32x4_t[kBlocks];

/// Two rows of A. The last one of an odd number is taken twice.
LATTE_BF16_INLINE bfloat16x8_t load_rows(const BFloatGroup* a, bool both) {
  const auto* from = reinterpret_cast<const uint16_t*>(a);
  return vreinterpretq_bf16_u16(both ? vld1q_u16(from)
                                     : vcombine_u16(vld1_u16(from), vld1_u16(from)));
}

LATTE_BF16_INLINE float32x4_t lower_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
LATTE_BF16_INLINE float32x4_t upper_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

/// blocks[p][i] += row pair p of a · columns 2·i and 2·i + 1 of b, four of K.
template <int Rows, int Panels>
LATTE_BF16_INLINE void multiply_step(const BFloatGroup* a, const BFloatGroup* b,
                                     int64_t panel_stride,
                                     Blocks (&blocks)[Panels][(Rows + 1) / 2]) {
  constexpr int kPairs = (Rows + 1) / 2;
  bfloat16x8_t rows[kPairs];
#pragma GCC unroll 16
  for (int p = 0; p < kPairs; ++p) rows[p] = load_rows(a + 2 * p, 2 * p + 1 < Rows);
#pragma GCC unroll 16
  for (int panel = 0; panel < Panels; ++panel) {
    const auto* from = reinterpret_cast<const uint16_t*>(b + panel * panel_stride);
#pragma GCC unroll 16
    for (int i = 0; i < kBlocks; ++i) {
      const bfloat16x8_t columns = vreinterpretq_bf16_u16(vld1q_u16(from + i * 2 * kBFloatGroup));
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        blocks[panel][p][i] = vbfmmlaq_f32(blocks[panel][p][i], rows[p], columns);
      }
    }
  }
}

template <int Rows, int Panels>
LATTE_BF16_INLINE void multiply_all(const BFloatGroup* a, const BFloatGroup* b,
                                    int64_t panel_stride, int64_t count,
                                    Blocks (&blocks)[Panels][(Rows + 1) / 2]) {
  for (; count >= 2; count -= 2, a += 2 * Rows, b += 2 * kBFloatDotPanel) {
    multiply_step<Rows, Panels>(a, b, panel_stride, blocks);
    multiply_step<Rows, Panels>(a + Rows, b + kBFloatDotPanel, panel_stride, blocks);
  }
  if (count > 0) multiply_step<Rows, Panels>(a, b, panel_stride, blocks);
}

template <int Rows, int Panels>
LATTE_BF16 void multiply(const BFloatGroup* a, const BFloatGroup* b, int64_t panel_stride,
                         int64_t count, float* sums) {
  constexpr int kPairs = (Rows + 1) / 2;
  Blocks blocks[Panels][kPairs];
#pragma GCC unroll 16
  for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 16
    for (int i = 0; i < kPairs * kVectors; ++i) {
      const int first = i / kVectors * 2, second = first + 1 < Rows ? first + 1 : first;
      const int v = i % kVectors;
      const float* from = sums + panel * kBFloatDotPanel + v * kLanes;
      const float32x4_t upper = vld1q_f32(from + first * Panels * kBFloatDotPanel);
      const float32x4_t lower = vld1q_f32(from + second * Panels * kBFloatDotPanel);
      blocks[panel][first / 2][2 * v] = lower_halves(upper, lower);
      blocks[panel][first / 2][2 * v + 1] = upper_halves(upper, lower);
    }
  }
  multiply_all<Rows, Panels>(a, b, panel_stride, count, blocks);
#pragma GCC unroll 16
  for (int panel = 0; panel < Panels; ++panel) {
#pragma GCC unroll 16
    for (int i = 0; i < kPairs * kVectors; ++i) {
      const int first = i / kVectors * 2, v = i % kVectors;
      const float32x4_t left = blocks[panel][first / 2][2 * v];
      const float32x4_t right = blocks[panel][first / 2][2 * v + 1];
      float* to = sums + panel * kBFloatDotPanel + v * kLanes;
      vst1q_f32(to + first * Panels * kBFloatDotPanel, lower_halves(left, right));
      if (first + 1 < Rows) {
        vst1q_f32(to + (first + 1) * Panels * kBFloatDotPanel, upper_halves(left, right));
      }
    }
  }
}

/// Three rows with two panels, at which gemm-inl.h arrives, have more blocks than there are
/// registers.
LATTE_BF16 void multiply_three_rows(const BFloatGroup* a, const BFloatGroup* b,
                                    int64_t panel_stride, int64_t count, float* sums) {
  float each[2][3][kBFloatDotPanel];
  for (int panel = 0; panel < 2; ++panel) {
    for (int r = 0; r < 3; ++r) {
      std::copy_n(sums + (2 * r + panel) * kBFloatDotPanel, kBFloatDotPanel, each[panel][r]);
    }
    multiply<3, 1>(a, b + panel * panel_stride, 0, count, each[panel][0]);
    for (int r = 0; r < 3; ++r) {
      std::copy_n(each[panel][r], kBFloatDotPanel, sums + (2 * r + panel) * kBFloatDotPanel);
    }
  }
}

}  // namespace

void multiply_bfloat_groups(int rows, int panels, const BFloatGroup* a, const BFloatGroup* b,
                            int64_t panel_stride, int64_t count, float* sums) {
  const auto tile = [&] {
    switch (rows) {
      case 6:
        return multiply<6, 1>;
      case 4:
        return multiply<4, 1>;
      case 3:
        return panels == 1 ? multiply<3, 1> : multiply_three_rows;
      case 2:
        return panels == 1 ? multiply<2, 1> : multiply<2, 3>;
      default:
        return panels == 1 ? multiply<1, 1> : multiply<1, 3>;
    }
  }();
  tile(a, b, panel_stride, count, sums);
}

LATTE_BF16 void multiply_bfloat_patches(const BFloatPatches& patches, int64_t count) {
  constexpr int kPairs = kBFloatPatchRows / 2;
  const BFloatGroup* panel = patches.panels;
  const int64_t panel_groups = patches.depth * kBFloatDotPanel;
  for (int64_t column = 0; column < count * kBFloatDotPanel;
       column += kBFloatDotPanel, panel += panel_groups) {
    Blocks blocks[1][kPairs];
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      const float* first = patches.positions[2 * p] + column;
      const float* second = patches.positions[2 * p + 1] + column;
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        float32x4_t upper = vld1q_f32(first + v * kLanes);
        float32x4_t lower = vld1q_f32(second + v * kLanes);
        if (patches.bias != nullptr) {
          const float32x4_t bias = vld1q_f32(patches.bias + column + v * kLanes);
          upper = vaddq_f32(upper, bias);
          lower = vaddq_f32(lower, bias);
        }
        blocks[0][p][2 * v] = lower_halves(upper, lower);
        blocks[0][p][2 * v + 1] = upper_halves(upper, lower);
      }
    }
    multiply_all<kBFloatPatchRows, 1>(patches.tile, panel, 0, patches.depth, blocks);
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      auto* first = reinterpret_cast<bfloat16_t*>(patches.outputs[2 * p] + column);
      auto* second = reinterpret_cast<bfloat16_t*>(patches.outputs[2 * p + 1] + column);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; v += 2) {
        const Blocks& block = blocks[0][p];
        const float32x4_t a = block[2 * v], b = block[2 * v + 1];
        const float32x4_t c = block[2 * v + 2], d = block[2 * v + 3];
        vst1q_bf16(first + v * kLanes,
                   vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(lower_halves(a, b)), lower_halves(c, d)));
        vst1q_bf16(second + v * kLanes,
                   vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(upper_halves(a, b)), upper_halves(c, d)));
      }
    }
  }
}

}  // namespace latte::cpu

#endif
