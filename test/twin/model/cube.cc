// The product of the cube unit: c [m, n] = a [m, k] b [k, n] + c, in float32.
#include <cstring>
#include <string>

#include "core.h"
#include "cube_intrinsics.h"
#include "numbers.h"

namespace latte::model {
namespace {

constexpr size_t kSide = 16;  // of a fractal
constexpr size_t kFractal = 512;
constexpr size_t kSums = kSide * kSide * sizeof(float);  // of a fractal of c
constexpr uint16_t kPoison = 0x7fc1;                     // Core::attach

enum class Begin { kZero, kTable, kSums };

[[noreturn]] void fault(const std::string& what) { throw Fault("mad: " + what); }

float decode(uint16_t bits, bool half, const char* operand) {
  if (bits == kPoison) fault(std::string("reads what nobody wrote to ") + operand);
  return half ? from_half(bits) : from_bfloat(bits);
}

float sum_at(Core& c, Space space, size_t at) {
  uint32_t bits = 0;
  std::memcpy(&bits, c.at(space, at), sizeof(bits));
  if (bits == (uint32_t{kPoison} << 16 | kPoison)) {
    fault(std::string("begins with what nobody wrote to ") + space_name(space));
  }
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct Product {
  size_t c, a, b, bias, m, k, n;
  bool half;
  Begin begin;
};

/// a: fractals [m / 16][k / 16] of [row][k]; b: [k / 16][n / 16] of [column][k]; c: [n / 16] of
/// [row][column], rows filled up to 16.
void multiply(Core& core, const Product& p) {
  const size_t m_blocks = (p.m + kSide - 1) / kSide, k_blocks = (p.k + kSide - 1) / kSide;
  const size_t n_blocks = (p.n + kSide - 1) / kSide;
  const auto item = [&](Space space, size_t at, const char* operand) {
    uint16_t bits = 0;
    std::memcpy(&bits, core.at(space, at), sizeof(bits));
    return decode(bits, p.half, operand);
  };
  std::vector<float> left(p.m * p.k), right(p.k * p.n);
  for (size_t m = 0; m < p.m; ++m) {
    for (size_t k = 0; k < p.k; ++k) {
      const size_t fractal = m / kSide * k_blocks + k / kSide;
      left[m * p.k + k] =
          item(Space::kL0A, p.a + fractal * kFractal + (m % kSide * kSide + k % kSide) * 2, "L0A");
    }
  }
  for (size_t k = 0; k < p.k; ++k) {
    for (size_t n = 0; n < p.n; ++n) {
      const size_t fractal = k / kSide * n_blocks + n / kSide;
      right[k * p.n + n] =
          item(Space::kL0B, p.b + fractal * kFractal + (n % kSide * kSide + k % kSide) * 2, "L0B");
    }
  }
  for (size_t m = 0; m < p.m; ++m) {
    std::vector<float> sums(p.n);
    const auto sum_offset = [&](size_t n) {
      return p.c + ((n / kSide * m_blocks * kSide + m) * kSide + n % kSide) * sizeof(float);
    };
    for (size_t n = 0; n < p.n && p.begin != Begin::kZero; ++n) {
      sums[n] = p.begin == Begin::kTable ? sum_at(core, Space::kBT, p.bias + n * sizeof(float))
                                         : sum_at(core, Space::kL0C, sum_offset(n));
    }
    for (size_t k = 0; k < p.k; ++k) {
      const float factor = left[m * p.k + k];
      for (size_t n = 0; n < p.n; ++n) sums[n] += factor * right[k * p.n + n];
    }
    for (size_t n = 0; n < p.n; ++n) {
      std::memcpy(core.at(Space::kL0C, sum_offset(n)), &sums[n], sizeof(float));
    }
  }
}

void issue_product(void* c, void* a, void* b, uint64_t bias, bool half, uint32_t m, uint32_t k,
                   uint32_t n, uint8_t unit_flag, Begin begin) {
  Core& core = model::core();
  for (const uint32_t size : {m, k, n}) {
    if (size < 1 || size > 4095) fault("a size is not 1 to 4095");
  }
  if (m == 1) fault("one row would be read as a vector, not as fractals");
  if (unit_flag != 0) fault("the unit flag is not modelled");
  Product p{core.locate(Space::kL0C, c, 1024, "mad"),
            core.locate(Space::kL0A, a, kFractal, "mad"),
            core.locate(Space::kL0B, b, kFractal, "mad"),
            0,
            m,
            k,
            n,
            half,
            begin};
  const size_t m_blocks = (m + kSide - 1) / kSide, k_blocks = (k + kSide - 1) / kSide;
  const size_t n_blocks = (n + kSide - 1) / kSide;
  std::vector<Access> accesses{{Space::kL0A, p.a, p.a + m_blocks * k_blocks * kFractal, false},
                               {Space::kL0B, p.b, p.b + k_blocks * n_blocks * kFractal, false},
                               {Space::kL0C, p.c, p.c + m_blocks * n_blocks * kSums, true}};
  if (begin == Begin::kSums) {
    accesses.push_back({Space::kL0C, p.c, p.c + m_blocks * n_blocks * kSums, false});
  }
  if (begin == Begin::kTable) {
    // The headers of 8.1 demand 128 bytes, the documentation 64.
    p.bias = core.locate(Space::kBT, reinterpret_cast<void*>(bias), 128, "mad");
    accesses.push_back({Space::kBT, p.bias, p.bias + n_blocks * kSide * sizeof(float), false});
  }
  core.issue(kM, "mad", accesses, [p, &core] { multiply(core, p); });
}

}  // namespace
}  // namespace latte::model

#define LATTE_MODEL_PRODUCT(T, half)                                                          \
  void mad(float* c, T* a, T* b, uint16_t m, uint16_t k, uint16_t n, uint8_t unit_flag, bool, \
           bool from_table, bool from_zero) {                                                 \
    if (from_table && !from_zero) latte::model::fault("a bias without an address");           \
    latte::model::issue_product(                                                              \
        c, a, b, 0, half, m, k, n, unit_flag,                                                 \
        from_zero ? latte::model::Begin::kZero : latte::model::Begin::kSums);                 \
  }                                                                                           \
  void mad(float* c, T* a, T* b, uint64_t bias, uint16_t m, uint16_t k, uint16_t n,           \
           uint8_t unit_flag, bool, bool from_table, bool from_zero) {                        \
    using latte::model::Begin;                                                                \
    const Begin begin = from_zero ? Begin::kZero : from_table ? Begin::kTable : Begin::kSums; \
    latte::model::issue_product(c, a, b, bias, half, m, k, n, unit_flag, begin);              \
  }
LATTE_MODEL_PRODUCT(float16::Fp16T, true)
LATTE_MODEL_PRODUCT(bfloat16::Bf16T, false)
