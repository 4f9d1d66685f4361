// The dot product of bfloat16 pairs that some x86 processors have (AVX-512 BF16).
//
// It is written in intrinsics: Highway has the instruction only from 1.0.5 on, and only in targets
// of their own. The instruction's products are exact. Subnormal factors and sums become zero. The
// two products of a pair are added to a float32 sum one after the other, each rounded to nearest.
#pragma once

#include <cstdint>

namespace latte::cpu {

/// Two elements that are neighbours along K.
struct BFloatPair {
  uint16_t even, odd;
};

/// The columns of a panel of this kernel.
constexpr int64_t kBFloatDotPanel = 32;

/// Whether this processor has the instruction and LATTE_CPU_TARGET allows AVX-512.
bool has_bfloat_dot();

/// sums[r][p][c] += Σ_k a[k][r] · b[p][k][c] over `count` pairs, for a tile of `rows` rows times
/// `panels` panels as gemm-inl.h cuts them for AVX-512. Panels lie panel_stride pairs apart.
/// To be called only if has_bfloat_dot().
void multiply_bfloat_pairs(int rows, int panels, const BFloatPair* a, const BFloatPair* b,
                           int64_t panel_stride, int64_t count, float* sums);

}  // namespace latte::cpu
