// The patch projection by dot products of bfloat16 pairs, which few x86-64 processors have: its
// template over a model of the instructions, and the instructions themselves where there are some.
#if defined(__x86_64__)
#define LATTE_PATCHES_TARGET
#include "backend/cpu/simd/bfloat_patches.h"

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "core/bits.h"

namespace {

using namespace latte;
using namespace latte::cpu;
using test::test;

constexpr int64_t kLanes = kBFloatDotPanel / 2;

float float_of(uint16_t bits) { return bits_as<float>(static_cast<uint32_t>(bits) << 16); }

/// To the nearest, ties to even; `value` is no NaN.
uint16_t bfloat_of(float value) {
  const auto bits = bits_as<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

struct ModelVectors {
  using Sums = std::array<float, kLanes>;
  using Pairs = std::array<BFloatGroup, kLanes>;

  static Sums load(const float* from) {
    Sums sums;
    std::copy_n(from, kLanes, sums.begin());
    return sums;
  }
  static Pairs load(const BFloatGroup* from) {
    Pairs pairs;
    std::copy_n(from, kLanes, pairs.begin());
    return pairs;
  }
  static Pairs repeat(BFloatGroup pair) {
    Pairs pairs;
    pairs.fill(pair);
    return pairs;
  }
  static Sums add(Sums a, const Sums& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }
  static Sums add_dot(Sums sums, const Pairs& a, const Pairs& b) {
    for (size_t i = 0; i < sums.size(); ++i) {
      for (int n = 0; n < 2; ++n) {
        sums[i] = std::fma(float_of(a[i].elements[n]), float_of(b[i].elements[n]), sums[i]);
      }
    }
    return sums;
  }
  static void store(const Sums& lower, const Sums& upper, BFloat* to, bool) {
    for (const Sums* half : {&lower, &upper}) {
      for (const float value : *half) (to++)->bits = bfloat_of(value);
    }
  }
};

/// A tile of patches times some panels: random values, and the results in double precision.
class Sample {
 public:
  Sample(int64_t depth, int64_t panels, bool bias)
      : depth_(depth), panels_(panels), columns_(panels * kBFloatDotPanel) {
    fill(tile_, depth * kBFloatPatchRows);
    fill(weights_, panels * depth * kBFloatDotPanel);
    positions_.resize(static_cast<size_t>(kBFloatPatchRows * columns_));
    bias_.resize(static_cast<size_t>(columns_));
    for (auto* values : {&positions_, &bias_}) {
      for (float& value : *values) value = random();
    }
    outputs_.resize(positions_.size() + 32);
    auto address = reinterpret_cast<uintptr_t>(outputs_.data());
    first_ = outputs_.data() + (64 - address % 64) % 64 / sizeof(BFloat);
    patches_.tile = tile_.data();
    patches_.panels = weights_.data();
    patches_.depth = depth;
    patches_.bias = bias ? bias_.data() : nullptr;
    for (int r = 0; r < kBFloatPatchRows; ++r) {
      patches_.positions[r] = positions_.data() + r * columns_;
      patches_.outputs[r] = first_ + r * columns_;
    }
  }

  BFloatPatches& patches() { return patches_; }
  int64_t panels() const { return panels_; }

  /// Fails unless every output is the product within half a unit of bfloat16, and what the
  /// additions may round.
  void check() const {
    for (int r = 0; r < kBFloatPatchRows; ++r) {
      for (int64_t c = 0; c < columns_; ++c) {
        double sum = positions_[static_cast<size_t>(r * columns_ + c)];
        if (patches_.bias != nullptr) sum += bias_[static_cast<size_t>(c)];
        double sizes = std::abs(sum);
        for (int64_t k = 0; k < depth_; ++k) {
          for (int n = 0; n < 2; ++n) {
            const double product =
                double{float_of(tile_[at(k * kBFloatPatchRows + r)].elements[n])} *
                float_of(weight(c, k).elements[n]);
            sum += product;
            sizes += std::abs(product);
          }
        }
        const double bound = std::abs(sum) * 0x1p-8 + double(2 * depth_ + 2) * 0x1p-24 * sizes;
        const double actual = float_of(first_[r * columns_ + c].bits);
        if (!(std::abs(actual - sum) <= bound)) {
          test::wrong("row ", r, ", column ", c, ": ", actual, " instead of ", sum);
        }
      }
    }
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }
  float random() { return std::uniform_real_distribution<float>(-1, 1)(generator_); }
  void fill(std::vector<BFloatGroup>& groups, int64_t count) {
    groups.resize(at(count));
    for (BFloatGroup& group : groups) {
      for (uint16_t& element : group.elements) element = bfloat_of(random());
    }
  }
  const BFloatGroup& weight(int64_t column, int64_t k) const {
    const int64_t panel = column / kBFloatDotPanel;
    return weights_[at((panel * depth_ + k) * kBFloatDotPanel + column % kBFloatDotPanel)];
  }

  std::mt19937 generator_{7};
  const int64_t depth_, panels_, columns_;
  std::vector<BFloatGroup> tile_, weights_;
  std::vector<float> positions_, bias_;
  std::vector<BFloat> outputs_;
  BFloat* first_ = nullptr;  // on a cache line
  BFloatPatches patches_;
};

template <class Multiply>
void check_all(const Multiply& multiply) {
  for (const int64_t depth : {1, 2, 8, 33}) {
    for (const bool bias : {false, true}) {
      for (const bool stream : {false, true}) {
        Sample sample(depth, 3, bias);
        sample.patches().stream = stream;
        multiply(sample.patches(), sample.panels());
        sample.check();
      }
    }
  }
}

const bool registered[] = {
    test("patches by pairs of bfloat16, over a model of the instructions",
         [] { check_all(multiply_patch_panels<ModelVectors>); }),
    test("patches by pairs of bfloat16, with the processor's instructions if it has them",
         [] {
           if (has_bfloat_dot()) check_all(multiply_bfloat_patches);
         }),
};

}  // namespace
#endif
