// The patch projection by dot products of bfloat16 pairs. `Vectors` has the instructions: those of
// AVX-512 BF16 in bfloat_dot.cc, and plain C++ in the tests, because few processors have them.
//
// A file that includes this one defines LATTE_PATCHES_TARGET before: the attribute that lets a
// function use the instructions.
#pragma once

#include "backend/cpu/simd/bfloat_dot.h"

namespace latte::cpu {

template <class Vectors>
LATTE_PATCHES_TARGET void multiply_patch_panels(const BFloatPatches& patches, int64_t count) {
  constexpr int kVectors = 2;
  constexpr int64_t kLanes = kBFloatDotPanel / kVectors;
  const BFloatGroup* panel = patches.panels;
  for (int64_t column = 0; column < count * kBFloatDotPanel; column += kBFloatDotPanel) {
    typename Vectors::Sums sums[kBFloatPatchRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kBFloatPatchRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const int64_t at = column + v * kLanes;
        sums[r][v] = Vectors::load(patches.positions[r] + at);
        if (patches.bias != nullptr) {
          sums[r][v] = Vectors::add(sums[r][v], Vectors::load(patches.bias + at));
        }
      }
    }
    const BFloatGroup* tile = patches.tile;
    for (int64_t k = 0; k < patches.depth;
         ++k, tile += kBFloatPatchRows, panel += kBFloatDotPanel) {
      const typename Vectors::Pairs columns[kVectors] = {Vectors::load(panel),
                                                         Vectors::load(panel + kLanes)};
#pragma GCC unroll 16
      for (int r = 0; r < kBFloatPatchRows; ++r) {
        const typename Vectors::Pairs value = Vectors::repeat(tile[r]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          sums[r][v] = Vectors::add_dot(sums[r][v], value, columns[v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kBFloatPatchRows; ++r) {
      Vectors::store(sums[r][0], sums[r][1], patches.outputs[r] + column, patches.stream);
    }
  }
}

}  // namespace latte::cpu
