#include "backend/cpu/simd/bfloat_dot.h"

#include "backend/cpu/simd/processor.h"
#include "backend/cpu/simd/targets.h"
#include "core/bits.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define LATTE_PATCHES_TARGET __attribute__((target("avx512f,avx512bf16")))
#define LATTE_PATCHES_INLINE __attribute__((target("avx512f,avx512bf16"), always_inline)) inline
#include "backend/cpu/simd/bfloat_patches.h"
#endif

namespace latte::cpu {

#if defined(__x86_64__)

bool has_bfloat_dot() { return target() == Target::kAvx3 && x86_features().avx512_bf16; }

namespace {

struct Avx512Vectors {
  using Sums = __m512;
  using Pairs = __m512bh;
  LATTE_PATCHES_INLINE static Sums load(const float* from) { return _mm512_loadu_ps(from); }
  LATTE_PATCHES_INLINE static Pairs load(const BFloatGroup* from) {
    return (__m512bh)_mm512_loadu_si512(from);
  }
  LATTE_PATCHES_INLINE static Pairs repeat(BFloatGroup pair) {
    return (__m512bh)_mm512_set1_epi32(bits_as<int>(pair));
  }
  LATTE_PATCHES_INLINE static Sums add(Sums a, Sums b) { return _mm512_add_ps(a, b); }
  LATTE_PATCHES_INLINE static Sums add_dot(Sums sums, Pairs a, Pairs b) {
    return _mm512_dpbf16_ps(sums, a, b);
  }
  LATTE_PATCHES_INLINE static void store(Sums lower, Sums upper, BFloat* to, bool stream) {
    const auto row = (__m512i)_mm512_cvtne2ps_pbh(upper, lower);
    auto* line = reinterpret_cast<__m512i*>(to);
    stream ? _mm512_stream_si512(line, row) : _mm512_storeu_si512(line, row);
  }
};

template <int Rows, int Panels>
LATTE_PATCHES_TARGET void multiply(const BFloatGroup* a, const BFloatGroup* b, int64_t panel_stride,
                                   int64_t count, float* sums) {
  constexpr int kVectors = 2;
  constexpr int64_t kLanes = kBFloatDotPanel / kVectors;
  __m512 total[Rows][Panels][kVectors];
#pragma GCC unroll 64
  for (int i = 0; i < Rows * Panels * kVectors; ++i) {
    total[i / (Panels * kVectors)][i / kVectors % Panels][i % kVectors] =
        _mm512_loadu_ps(sums + i * kLanes);
  }
  for (int64_t k = 0; k < count; ++k, a += Rows, b += kBFloatDotPanel) {
    __m512i columns[Panels][kVectors];
#pragma GCC unroll 16
    for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        columns[p][v] = _mm512_loadu_si512(b + p * panel_stride + v * kLanes);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const auto value = (__m512bh)_mm512_set1_epi32(bits_as<int>(a[r]));
#pragma GCC unroll 16
      for (int p = 0; p < Panels; ++p) {
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          total[r][p][v] = _mm512_dpbf16_ps(total[r][p][v], value, (__m512bh)columns[p][v]);
        }
      }
    }
  }
#pragma GCC unroll 64
  for (int i = 0; i < Rows * Panels * kVectors; ++i) {
    _mm512_storeu_ps(sums + i * kLanes,
                     total[i / (Panels * kVectors)][i / kVectors % Panels][i % kVectors]);
  }
}

}  // namespace

void multiply_bfloat_groups(int rows, int panels, const BFloatGroup* a, const BFloatGroup* b,
                            int64_t panel_stride, int64_t count, float* sums) {
  const auto tile = [&] {
    switch (rows) {
      case 12:
        return multiply<12, 1>;
      case 8:
        return multiply<8, 1>;
      case 4:
        return panels == 1 ? multiply<4, 1> : multiply<4, 3>;
      case 3:
        return panels == 1 ? multiply<3, 1> : multiply<3, 3>;
      case 2:
        return panels == 1 ? multiply<2, 1> : multiply<2, 3>;
      default:
        return panels == 1 ? multiply<1, 1> : multiply<1, 3>;
    }
  }();
  tile(a, b, panel_stride, count, sums);
}

void multiply_bfloat_patches(const BFloatPatches& patches, int64_t count) {
  multiply_patch_panels<Avx512Vectors>(patches, count);
}

#elif !defined(__aarch64__)  // that is in bfloat_dot_arm.cc

bool has_bfloat_dot() { return false; }

void multiply_bfloat_groups(int, int, const BFloatGroup*, const BFloatGroup*, int64_t, int64_t,
                            float*) {}

void multiply_bfloat_patches(const BFloatPatches&, int64_t) {}

#endif

}  // namespace latte::cpu
