// The micro-kernel of the patch projection. Compiled once for each instruction set.
//
// A tile is kPatchRows patches, [K][kPatchRows] of float32. It is multiplied with one panel of
// packed weights at a time; the sums of a tile and a panel stay in registers. The order of
// summation over K is the same for every tile, so no row's result depends on its neighbours.

#if defined(LATTE_CPU_PATCH_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LATTE_CPU_PATCH_TILE_INL_H_
#undef LATTE_CPU_PATCH_TILE_INL_H_
#else
#define LATTE_CPU_PATCH_TILE_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/simd/bfloat_dot.h"
#include "backend/cpu/simd/norm-inl.h"
#include "backend/cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace latte::cpu::HWY_NAMESPACE {

// Sums, panel vectors and one broadcast value fill the processor's 16 or 32 registers. With these
// widths a row of a panel is a whole number of cache lines in float32 (and, with AVX-512, in half
// types).
#if HWY_TARGET == HWY_AVX3
constexpr int kPatchRows = 12, kPatchVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr int kPatchRows = 6, kPatchVectors = 2;
#elif HWY_ARCH_ARM_A64
constexpr int kPatchRows = 6, kPatchVectors = 4;
#else
constexpr int kPatchRows = 2, kPatchVectors = 4;
#endif
static_assert(kPatchVectors % 2 == 0, "half types are stored two vectors at a time");
constexpr int64_t kPatchPanel = kPatchVectors * static_cast<int64_t>(kLanes);

/// Stores one row's channels of a panel. Half types are stored two vectors at a time. If kStream,
/// the stores bypass the caches, and no vector may cross a cache line.
template <bool kStream, class T>
HWY_INLINE void put(const V (&values)[kPatchVectors], T* to) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (!std::is_same_v<T, float>) {
    constexpr hn::Repartition<uint16_t, F32> wide;
#pragma GCC unroll 16
    for (int v = 0; v < kPatchVectors; v += 2) {
      hn::Vec<decltype(wide)> both;
      if constexpr (std::is_same_v<T, BFloat>) {
        both = hn::ConcatOdd(wide, hn::BitCast(wide, bfloat_high(values[v + 1])),
                             hn::BitCast(wide, bfloat_high(values[v])));
      } else {
        both = hn::Combine(wide, half_lanes(values[v + 1]), half_lanes(values[v]));
      }
      auto* bits = reinterpret_cast<uint16_t*>(to + v * static_cast<int64_t>(kLanes));
      kStream ? hn::Stream(both, wide, bits) : hn::StoreU(both, wide, bits);
    }
    return;
  }
#endif
#pragma GCC unroll 16
  for (int v = 0; v < kPatchVectors; ++v) {
    T* lanes = to + v * static_cast<int64_t>(kLanes);
    kStream ? stream(values[v], lanes) : store(values[v], lanes);
  }
}

/// Copies a cache line of half types past the caches.
template <class T>
HWY_INLINE void stream_line(const T* from, T* to) {
  constexpr hn::ScalableTag<uint16_t> wide;
  for (size_t i = 0; i < 64 / sizeof(T); i += hn::Lanes(wide)) {
    hn::Stream(hn::Load(wide, reinterpret_cast<const uint16_t*>(from) + i), wide,
               reinterpret_cast<uint16_t*>(to) + i);
  }
}

/// What is added to the products: positions that include the bias, or positions plus the bias, or
/// positions plus the bias times the scale of the row.
enum class Addend { kPositions, kWithBias, kWithScaledBias };

/// The sums of a tile and a panel: vector v of the panel's channels for row r.
struct PatchSums {
  V sums[kPatchRows][kPatchVectors];

  // GCC compiles a defaulted constructor without the target's instructions.
  HWY_INLINE PatchSums() {}

  /// values[v] = sums[r][v] + addend: positions[v], and bias[v] and `scale` as kAddend has it.
  template <Addend kAddend>
  HWY_INLINE void add(int r, const float* HWY_RESTRICT positions, const float* HWY_RESTRICT bias,
                      const float* HWY_RESTRICT scales, V (&values)[kPatchVectors]) const {
#pragma GCC unroll 16
    for (int v = 0; v < kPatchVectors; ++v) {
      const int64_t at = v * static_cast<int64_t>(kLanes);
      V addend = hn::LoadU(df, positions + at);
      if constexpr (kAddend == Addend::kWithBias) {
        addend = hn::Add(hn::LoadU(df, bias + at), addend);
      }
      if constexpr (kAddend == Addend::kWithScaledBias) {
        addend = hn::MulAdd(hn::LoadU(df, bias + at), hn::Set(df, scales[r]), addend);
      }
      values[v] = hn::Add(sums[r][v], addend);
    }
  }

  /// Loads sums that store_to() stored. Rows lie `stride` elements apart.
  HWY_INLINE void load_from(const float* from, int64_t stride) {
#pragma GCC unroll 16
    for (int r = 0; r < kPatchRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kPatchVectors; ++v) {
        sums[r][v] = hn::LoadU(df, from + r * stride + v * static_cast<int64_t>(kLanes));
      }
    }
  }

  HWY_INLINE void store_to(float* to, int64_t stride) const {
#pragma GCC unroll 16
    for (int r = 0; r < kPatchRows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kPatchVectors; ++v) {
        hn::StoreU(sums[r][v], df, to + r * stride + v * static_cast<int64_t>(kLanes));
      }
    }
  }

  /// sums[r][v] = Σ_k tile[k][r] · panel[k][v], in addition to what they are unless kFromZero.
  template <bool kFromZero>
  HWY_INLINE void multiply(const float* HWY_RESTRICT tile, const float* HWY_RESTRICT panel,
                           int64_t depth) {
    [[maybe_unused]] constexpr int64_t kTwoRows = 2 * int64_t{kPatchRows};
    [[maybe_unused]] constexpr int64_t kTwoPanels = 2 * kPatchPanel;
    [[maybe_unused]] constexpr int64_t kUnrolled =
        16;  // all of the usual patch: 2 × 2 pixels of 4 channels
    int64_t k = 0;
    if constexpr (kMultipliesByLane) {
      if (depth >= kUnrolled) {
        multiply_two<kFromZero>(tile, panel);
#pragma GCC unroll 8
        for (int i = 1; i < kUnrolled / 2; ++i) {
          multiply_two<false>(tile + i * kTwoRows, panel + i * kTwoPanels);
        }
        k = kUnrolled;
        tile += kUnrolled * kPatchRows;
        panel += kUnrolled * kPatchPanel;
      }
    }
    if (kFromZero && k == 0) {
#pragma GCC unroll 64
      for (int i = 0; i < kPatchRows * kPatchVectors; ++i) {
        sums[i / kPatchVectors][i % kPatchVectors] = hn::Zero(df);
      }
    }
    if constexpr (kMultipliesByLane) {
      for (; k + 4 <= depth; k += 4, tile += 2 * kTwoRows, panel += 2 * kTwoPanels) {
        multiply_two<false>(tile, panel);
        multiply_two<false>(tile + kTwoRows, panel + kTwoPanels);
      }
      for (; k + 2 <= depth; k += 2, tile += kTwoRows, panel += kTwoPanels) {
        multiply_two<false>(tile, panel);
      }
    }
    for (; k < depth; ++k, tile += kPatchRows, panel += kPatchPanel) {
      V columns[kPatchVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kPatchVectors; ++v) {
        columns[v] = hn::LoadU(df, panel + v * static_cast<int64_t>(kLanes));
      }
#pragma GCC unroll 16
      for (int r = 0; r < kPatchRows; ++r) {
        const V value = hn::Set(df, tile[r]);
#pragma GCC unroll 16
        for (int v = 0; v < kPatchVectors; ++v) {
          sums[r][v] = hn::MulAdd(value, columns[v], sums[r][v]);
        }
      }
    }
  }

 private:
  /// Two steps of K: their values of the tile are whole vectors. The first one begins the sums if
  /// kBegin.
  template <bool kBegin>
  HWY_INLINE void multiply_two(const float* HWY_RESTRICT tile, const float* HWY_RESTRICT panel) {
    const TileFactors<kPatchRows, 2> factors(tile);
    multiply_one<0, kBegin>(factors, panel);
    multiply_one<1, false>(factors, panel + kPatchPanel);
  }

  template <int Step, bool kBegin>
  HWY_INLINE void multiply_one(const TileFactors<kPatchRows, 2>& factors,
                               const float* HWY_RESTRICT panel) {
#pragma GCC unroll 16
    for (int v = 0; v < kPatchVectors; ++v) {
      const V column = hn::LoadU(df, panel + v * static_cast<int64_t>(kLanes));
      factors.template multiply_add<Step, kBegin>(column,
                                                  [&](int r) HWY_ATTR -> V& { return sums[r][v]; });
    }
  }
};

/// Sets scales[r] = 1/√(variance + epsilon) of the channels of each patch in a tile, and multiplies
/// the patch by it. The variance comes from the triangle R of the centred weights (see
/// patch_weights.h). A vector holds several rows. Its lanes past the last row read up to a vector
/// behind the tile, which must be addressable; their results are not used.
HWY_INLINE void normalise_tile(float* HWY_RESTRICT tile, int64_t depth,
                               const float* HWY_RESTRICT triangle, double epsilon,
                               float* HWY_RESTRICT scales) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  constexpr int64_t kVectors = (kPatchRows + lanes - 1) / lanes;
  HWY_ALIGN float padded[kVectors * lanes];
  for (int64_t v = 0; v < kVectors; ++v) {
    V variance = hn::Zero(df);
    const float* row = triangle;
    for (int64_t i = 0; i <= depth; ++i) {
      // Two independent sums hide the latency of an addition.
      V even = hn::Set(df, row[depth - i]), odd = hn::Zero(df);  // the bias' column: x = 1
      int64_t k = i;
      const auto x = [&](int64_t at)
                         HWY_ATTR { return hn::LoadU(df, tile + at * kPatchRows + v * lanes); };
      for (; k + 2 <= depth; k += 2, row += 2) {
        even = hn::MulAdd(hn::Set(df, row[0]), x(k), even);
        odd = hn::MulAdd(hn::Set(df, row[1]), x(k + 1), odd);
      }
      if (k < depth) even = hn::MulAdd(hn::Set(df, *row++), x(k), even);
      ++row;
      const V part = hn::Add(even, odd);
      variance = hn::MulAdd(part, part, variance);
    }
    const V deviation = hn::Sqrt(hn::Add(variance, hn::Set(df, static_cast<float>(epsilon))));
    hn::Store(hn::Div(hn::Set(df, 1.0f), deviation), df, padded + v * lanes);
  }
  std::copy_n(padded, kPatchRows, scales);
  for (int64_t k = 0; k < depth; ++k) {
    for (int r = 0; r < kPatchRows; ++r) tile[k * kPatchRows + r] *= scales[r];
  }
}

/// Calls whole(first, last) for panels that lie in one half of a row's `dim` channels, and
/// edge(panel) for one that crosses the middle or the end of the row.
template <class Whole, class Edge>
HWY_INLINE void each_run(int64_t dim, int64_t first, int64_t last, const Whole& whole,
                         const Edge& edge) {
  const int64_t half = dim / 2;
  for (int64_t panel = first, next; panel < last; panel = next) {
    const int64_t column = panel * kPatchPanel;
    const int64_t count = ((column < half ? half : dim) - column) / kPatchPanel;
    next = panel + std::clamp<int64_t>(count, 1, last - panel);
    if (count > 0) {
      whole(panel, next);
    } else {
      edge(panel);
    }
  }
}

/// Finishes `count` channels of a row: normalises them if kScaled, adds the positions, and stores
/// them.
template <bool kScaled, bool kStream, class T>
HWY_INLINE void finish_channels(const float* from, Moments norm, const float* positions, T* to,
                                int64_t count) {
  constexpr auto lanes = static_cast<int64_t>(kLanes);
  const V mean = hn::Set(df, norm.mean), scale = hn::Set(df, norm.inverse_deviation);
  const auto finished = [&](V value, V position) HWY_ATTR {
    if constexpr (kScaled) value = hn::Mul(hn::Sub(value, mean), scale);
    return hn::Add(value, position);
  };
  int64_t i = 0;
  for (; i + kPatchPanel <= count; i += kPatchPanel) {
    V values[kPatchVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kPatchVectors; ++v) {
      const int64_t at = i + v * lanes;
      values[v] = finished(hn::LoadU(df, from + at), hn::LoadU(df, positions + at));
    }
    put<kStream>(values, to + i);
  }
  for (; i < count; i += lanes) {
    const auto some = static_cast<size_t>(std::min(lanes, count - i));
    store_some(finished(load_some(from + i, some), load_some(positions + i, some)), to + i, some);
  }
}

/// Calls visit(line) for the lines of one row's patch: channels, frames and rows in the order of
/// the weights, patch.width elements each.
template <class T, class Visit>
HWY_INLINE void each_line(const T* from, const LatentView& latent, PatchSize patch,
                          const Visit& visit) {
  for (int64_t c = 0; c < latent.channels; ++c, from += latent.channel_stride) {
    const T* frame = from;
    for (int64_t t = 0; t < patch.frames; ++t, frame += latent.inner_stride) {
      const T* line = frame;
      for (int64_t y = 0; y < patch.height; ++y, line += latent.width) visit(line);
    }
  }
}

/// to[k][r] = patch[k] of one row's patch.
template <class T>
HWY_INLINE void gather_patch(const T* from, const LatentView& latent, PatchSize patch, T* to) {
  each_line(from, latent, patch, [&](const T* line) HWY_ATTR {
    for (int64_t x = 0; x < patch.width; ++x, to += kPatchRows) *to = line[x];
  });
}

/// The same in groups of neighbours along K: to[k][r][n] = patch[k · kBFloatGroup + n].
HWY_INLINE void gather_groups(const BFloat* from, const LatentView& latent, PatchSize patch,
                              BFloatGroup* to) {
  int64_t n = 0;
  each_line(from, latent, patch, [&](const BFloat* line) HWY_ATTR {
    for (int64_t x = 0; x < patch.width; ++x) {
      to->elements[n] = line[x].bits;
      if (++n < kBFloatGroup) continue;
      n = 0;
      to += kPatchRows;
    }
  });
  if (n > 0) std::fill(to->elements + n, to->elements + kBFloatGroup, uint16_t{0});
}

}  // namespace latte::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LATTE_CPU_PATCH_TILE_INL_H_
