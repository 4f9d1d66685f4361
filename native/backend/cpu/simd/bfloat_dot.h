// Dot products of bfloat16 that some processors have: VDPBF16PS of pairs (x86, AVX-512 BF16), and
// BFMMLA of groups of four (AArch64, FEAT_BF16).
//
// Each is written in intrinsics, in a file of its own: Highway has the instructions only from 1.0.5
// on, and only in targets of their own. Their products are exact. Subnormal factors and sums become
// zero. Each addition to a float32 sum is rounded. On x86 there is one for each product, rounded to
// nearest. On AArch64 there are two for each pair of products: the first adds the two products, the
// second adds the result to the sum. They round to odd, with an error of less than one unit in the
// last place instead of half a one. So the error of a sum over K products has about the bound of K
// multiply-adds on both: (K + 2) · 2^-24 · Σ|a·b|.
#pragma once

#include <cstdint>

#include "backend/cpu/simd/element.h"

namespace latte::cpu {

/// Whether the kernels of the target that is being compiled may use these. (Highway names it.)
#define LATTE_MAY_DOT (HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64)

#if defined(__aarch64__)
constexpr int64_t kBFloatGroup = 4;
/// The columns of a panel of these kernels.
constexpr int64_t kBFloatDotPanel = 16;
/// The rows of a tile of the patch projection.
constexpr int kBFloatPatchRows = 6;
#else
constexpr int64_t kBFloatGroup = 2;
constexpr int64_t kBFloatDotPanel = 32;
constexpr int kBFloatPatchRows = 12;
#endif

/// Neighbours along K.
struct BFloatGroup {
  uint16_t elements[kBFloatGroup];
};

/// Whether this processor has the instruction and LATTE_CPU_TARGET allows AVX-512.
bool has_bfloat_dot();

/// How many neighbours along K lie side by side in packed bfloat16 weights.
inline int64_t bfloat_neighbours() { return has_bfloat_dot() ? kBFloatGroup : 2; }

/// sums[r][p][c] += Σ_k a[k][r] · b[p][k][c] over `count` groups, for a tile of `rows` rows times
/// `panels` panels as gemm-inl.h cuts them. Panels lie panel_stride groups apart. To be called only
/// if has_bfloat_dot().
void multiply_bfloat_groups(int rows, int panels, const BFloatGroup* a, const BFloatGroup* b,
                            int64_t panel_stride, int64_t count, float* sums);

/// A tile of patches, for the patch projection.
struct BFloatPatches {
  const BFloatGroup* tile = nullptr;         // [depth][rows]
  const BFloatGroup* panels = nullptr;       // [depth][kBFloatDotPanel], one panel after the other
  int64_t depth = 0;                         // in groups
  const float* bias = nullptr;               // null: the positions include it
  const float* positions[kBFloatPatchRows];  // float32 sums begin with these (and the bias)
  BFloat* outputs[kBFloatPatchRows];
  bool stream = false;  // x86: each row's part of a panel is a cache line, stored past the caches
};

/// The rows' channels of `count` neighbouring panels, rounded to bfloat16. To be called only if
/// has_bfloat_dot().
void multiply_bfloat_patches(const BFloatPatches& patches, int64_t count);

}  // namespace latte::cpu
