// The product of the cube unit: c [m, n] = a [m, k] b [k, n] + c, in float32.
#include <cstring>
#include <string>

#include "core.h"
#include "cube_intrinsics.h"
#include "numbers.h"

namespace latte::model {
namespace {

constexpr size_t kSide = 16;  // rows of a fractal
constexpr size_t kFractal = 512;
constexpr size_t kSums = kSide * kSide * sizeof(float);  // bytes of a fractal of c
constexpr uint16_t kPoison = 0x7fc1;                     // the NaN of Core::attach

enum class Begin { kZero, kTable, kSums };

[[noreturn]] void fault(const std::string& what) { throw Fault("mad: " + what); }

enum class Items { kHalf, kBFloat, kFloat };

/// Rounds as HF32 does: 12 bits of the mantissa fewer.
float to_hf32(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  bits = (bits + 0x800) & ~uint32_t{0xfff};
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// Reads element `index` of a row of a fractal.
float item_at(Core& core, Space space, size_t row, size_t index, Items items) {
  const auto unwritten = [&] {
    fault(std::string("reads what nobody wrote to ") + space_name(space));
  };
  if (items == Items::kFloat) {
    uint32_t bits = 0;
    std::memcpy(&bits, core.at(space, row + index * sizeof(bits)), sizeof(bits));
    if (bits == (uint32_t{kPoison} << 16 | kPoison)) unwritten();
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    const bool hf32 = (core.control >> kHf32Bit & 1) != 0;
    return hf32 ? to_hf32(value) : value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, core.at(space, row + index * sizeof(bits)), sizeof(bits));
  if (bits == kPoison) unwritten();
  return items == Items::kHalf ? from_half(bits) : from_bfloat(bits);
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
  Items items;
  Begin begin;
};

/// Elements of K in a fractal: 32 bytes.
size_t depth_of(Items items) { return items == Items::kFloat ? 8 : 16; }

/// a: fractals [m / 16][k / 16] of [row][k]; b: [k / 16][n / 16] of [column][k]; c: [n / 16] of
/// [row][column], its rows filled up to 16. For float32, fractals have 8 elements of k.
void multiply(Core& core, const Product& p) {
  const size_t depth = depth_of(p.items), row_bytes = kFractal / kSide;
  const size_t m_blocks = (p.m + kSide - 1) / kSide, k_blocks = (p.k + depth - 1) / depth;
  const size_t n_blocks = (p.n + kSide - 1) / kSide;
  std::vector<float> left(p.m * p.k), right(p.k * p.n);
  for (size_t m = 0; m < p.m; ++m) {
    for (size_t k = 0; k < p.k; ++k) {
      const size_t fractal = m / kSide * k_blocks + k / depth;
      const size_t row = p.a + fractal * kFractal + m % kSide * row_bytes;
      left[m * p.k + k] = item_at(core, Space::kL0A, row, k % depth, p.items);
    }
  }
  for (size_t k = 0; k < p.k; ++k) {
    for (size_t n = 0; n < p.n; ++n) {
      const size_t fractal = k / depth * n_blocks + n / kSide;
      const size_t row = p.b + fractal * kFractal + n % kSide * row_bytes;
      right[k * p.n + n] = item_at(core, Space::kL0B, row, k % depth, p.items);
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

void issue_product(void* c, void* a, void* b, uint64_t bias, Items items, uint32_t m, uint32_t k,
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
            items,
            begin};
  const size_t m_blocks = (m + kSide - 1) / kSide,
               k_blocks = (k + depth_of(items) - 1) / depth_of(items);
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

#define LATTE_MODEL_PRODUCT(T, items)                                                         \
  void mad(float* c, T* a, T* b, uint16_t m, uint16_t k, uint16_t n, uint8_t unit_flag, bool, \
           bool from_table, bool from_zero) {                                                 \
    if (from_table && !from_zero) latte::model::fault("a bias without an address");           \
    latte::model::issue_product(                                                              \
        c, a, b, 0, items, m, k, n, unit_flag,                                                \
        from_zero ? latte::model::Begin::kZero : latte::model::Begin::kSums);                 \
  }                                                                                           \
  void mad(float* c, T* a, T* b, uint64_t bias, uint16_t m, uint16_t k, uint16_t n,           \
           uint8_t unit_flag, bool, bool from_table, bool from_zero) {                        \
    using latte::model::Begin;                                                                \
    const Begin begin = from_zero ? Begin::kZero : from_table ? Begin::kTable : Begin::kSums; \
    latte::model::issue_product(c, a, b, bias, items, m, k, n, unit_flag, begin);             \
  }
LATTE_MODEL_PRODUCT(float16::Fp16T, latte::model::Items::kHalf)
LATTE_MODEL_PRODUCT(bfloat16::Bf16T, latte::model::Items::kBFloat)
LATTE_MODEL_PRODUCT(float, latte::model::Items::kFloat)

uint64_t get_ctrl() { return latte::model::core().control; }
void set_ctrl(uint64_t bits) { latte::model::core().control = bits; }
