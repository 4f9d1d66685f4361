// The vector unit's instructions.
#include <algorithm>
#include <cstring>
#include <string>

#include "core.h"
#include "intrinsics.h"
#include "numbers.h"

namespace latte::model {
namespace {

constexpr size_t kBlock = 32;

struct Operand {
  void* pointer;
  size_t item;
  uint32_t block_stride, repeat_stride;
  bool writes;
};

/// The lanes of each repeat that the mask selects: item `lane` of repeat `repeat`.
struct Lanes {
  uint32_t repeats = 0, lanes = 0;
  bool counts = false;
  uint64_t count = 0, low = 0, high = 0;

  Lanes(const Core& core, uint32_t repeat, size_t widest) {
    lanes = static_cast<uint32_t>(256 / widest);
    counts = core.mask_counts;
    low = core.mask_low;
    high = core.mask_high;
    if (counts) {
      count = low;
      repeats = static_cast<uint32_t>((count + lanes - 1) / lanes);
    } else {
      repeats = repeat;
    }
  }
  bool selects(uint32_t repeat, uint32_t lane) const {
    if (counts) return uint64_t{repeat} * lanes + lane < count;
    return lane < 64 ? (low >> lane) & 1 : (high >> (lane - 64)) & 1;
  }
  template <class F>
  void each(F&& f) const {
    for (uint32_t r = 0; r < repeats; ++r) {
      for (uint32_t l = 0; l < lanes; ++l) {
        if (selects(r, l)) f(r, l);
      }
    }
  }
};

size_t lane_offset(const Operand& operand, uint32_t repeat, uint32_t lane) {
  const size_t in_block = kBlock / operand.item;
  return (size_t{repeat} * operand.repeat_stride + lane / in_block * operand.block_stride) *
             kBlock +
         lane % in_block * operand.item;
}

/// Adds the blocks that an operand touches, as ranges.
void add_accesses(std::vector<Access>& accesses, const Lanes& lanes, const Operand& operand,
                  size_t begin) {
  Access open{Space::kUB, 0, 0, operand.writes};
  lanes.each([&](uint32_t repeat, uint32_t lane) {
    const size_t at = begin + lane_offset(operand, repeat, lane);
    if (at == open.end && open.end != 0) {
      open.end += operand.item;
      return;
    }
    if (open.end > open.begin) accesses.push_back(open);
    open.begin = at;
    open.end = at + operand.item;
  });
  if (open.end > open.begin) accesses.push_back(open);
}

template <class To, class From, class F>
void map(const char* name, uint32_t repeat, Operand to, std::initializer_list<Operand> from, F f) {
  Core& c = core();
  size_t widest = to.item;
  for (const Operand& operand : from) widest = std::max(widest, operand.item);
  const Lanes lanes(c, repeat, widest);
  std::vector<Access> accesses;
  const size_t to_begin = c.locate(Space::kUB, to.pointer, kBlock, name);
  std::vector<Operand> inputs(from);
  std::vector<size_t> begins;
  for (const Operand& operand : inputs) {
    begins.push_back(c.locate(Space::kUB, operand.pointer, kBlock, name));
    add_accesses(accesses, lanes, operand, begins.back());
  }
  add_accesses(accesses, lanes, to, to_begin);
  c.issue(kV, name, accesses, [&c, lanes, to, to_begin, inputs, begins, f] {
    lanes.each([&](uint32_t r, uint32_t l) {
      From values[2]{};
      for (size_t i = 0; i < inputs.size(); ++i) {
        std::memcpy(&values[i], c.at(Space::kUB, begins[i] + lane_offset(inputs[i], r, l)),
                    sizeof(From));
      }
      const To result = f(values);
      std::memcpy(c.at(Space::kUB, to_begin + lane_offset(to, r, l)), &result, sizeof(To));
    });
  });
}

template <class To, class From, class F>
void unary(const char* name, void* to, void* from, uint8_t repeat, uint32_t to_block,
           uint32_t from_block, uint32_t to_repeat, uint32_t from_repeat, F f) {
  map<To, From>(name, repeat, {to, sizeof(To), to_block, to_repeat, true},
                {{from, sizeof(From), from_block, from_repeat, false}}, f);
}

/// The rounding mode that is part of an instruction's name.
Round rounding(const char* name) {
  switch (name[std::strlen(name) - 1]) {
    case 'a':
      return Round::kNearestAway;
    case 'c':
      return Round::kUp;
    case 'f':
      return Round::kDown;
    case 'z':
      return Round::kZero;
    case 'o':
      return Round::kOdd;
    default:
      return Round::kNearestEven;
  }
}

template <class To, class From>
struct Conversion;
template <>
struct Conversion<int32_t, float> {
  using Store = int32_t;
  static Store of(float value, Round round) { return to_int32(value, round); }
};
template <>
struct Conversion<float, int32_t> {
  using Store = float;
  static Store of(int32_t value, Round round) {
    return static_cast<float>(round_to_digits_int(value, round));
  }
  static double round_to_digits_int(int32_t value, Round round) {
    int exponent = 0;
    std::frexp(static_cast<double>(value), &exponent);
    const int unit = std::max(exponent - 24, 0);
    return std::ldexp(round_integer(std::ldexp(static_cast<double>(value), -unit), round), unit);
  }
};
template <>
struct Conversion<float16::Fp16T, float> {
  using Store = uint16_t;
  static Store of(float value, Round round) { return to_half(value, round); }
};
template <>
struct Conversion<bfloat16::Bf16T, float> {
  using Store = uint16_t;
  static Store of(float value, Round round) { return to_bfloat(value, round); }
};

template <class T>
void gather(const char* name, T* to, uint32_t* offsets, uint16_t to_repeat, uint8_t repeat) {
  Core& c = core();
  const Lanes lanes(c, repeat, sizeof(T));
  const Operand target{to, sizeof(T), 1, to_repeat, true};
  // Offsets lie one after another: 4 bytes for each lane of a repeat.
  const size_t from = c.locate(Space::kUB, offsets, kBlock, name);
  const size_t begin = c.locate(Space::kUB, to, kBlock, name);
  const size_t base = c.locate(Space::kUB, reinterpret_cast<void*>(c.gather_base), sizeof(T), name);
  std::vector<Access> accesses;
  add_accesses(accesses, lanes, target, begin);
  size_t last = 0;
  lanes.each([&](uint32_t r, uint32_t l) {
    last = std::max(last, (size_t{r} * lanes.lanes + l + 1) * 4);
  });
  accesses.push_back({Space::kUB, from, from + last, false});
  // The gathered blocks are known only when the offsets are, so the whole source counts as read.
  const size_t length = c.gather_length * sizeof(T);
  accesses.push_back({Space::kUB, base, base + length, false});
  c.issue(kV, name, accesses, [&c, lanes, target, begin, from, base, length, name] {
    lanes.each([&](uint32_t r, uint32_t l) {
      uint32_t offset = 0;
      std::memcpy(&offset, c.at(Space::kUB, from + (size_t{r} * lanes.lanes + l) * 4), 4);
      if (offset % sizeof(T) != 0 || size_t{offset} + sizeof(T) > length) {
        throw Fault(std::string(name) + ": offset " + std::to_string(offset) +
                    " is misaligned or outside of the source of " + std::to_string(length) +
                    " bytes");
      }
      std::memcpy(c.at(Space::kUB, begin + lane_offset(target, r, l)),
                  c.at(Space::kUB, base + offset), sizeof(T));
    });
  });
}

}  // namespace
}  // namespace latte::model

using latte::model::core;

void set_mask_count() { core().mask_counts = true; }
void set_mask_norm() { core().mask_counts = false; }
void set_vector_mask(uint64_t high, uint64_t low) {
  core().mask_high = high;
  core().mask_low = low;
}

void vector_dup(float* to, float value, uint8_t repeat, uint16_t to_block, uint16_t,
                uint8_t to_repeat, uint8_t) {
  latte::model::map<float, float>("vector_dup", repeat, {to, 4, to_block, to_repeat, true}, {},
                                  [value](const float*) { return value; });
}

void vabs(float* to, float* from, uint8_t repeat, uint16_t to_block, uint16_t from_block,
          uint8_t to_repeat, uint8_t from_repeat) {
  latte::model::unary<float, float>("vabs", to, from, repeat, to_block, from_block, to_repeat,
                                    from_repeat, [](const float* x) { return std::fabs(*x); });
}

#define LATTE_MODEL_BINARY(name, sign)                                                        \
  void name(float* to, float* a, float* b, uint8_t repeat, uint8_t to_block, uint8_t a_block, \
            uint8_t b_block, uint8_t to_repeat, uint8_t a_repeat, uint8_t b_repeat) {         \
    latte::model::map<float, float>(                                                          \
        #name, repeat, {to, 4, to_block, to_repeat, true},                                    \
        {{a, 4, a_block, a_repeat, false}, {b, 4, b_block, b_repeat, false}},                 \
        [](const float* x) { return x[0] sign x[1]; });                                       \
  }
LATTE_MODEL_BINARY(vadd, +)
LATTE_MODEL_BINARY(vsub, -)
LATTE_MODEL_BINARY(vmul, *)

#define LATTE_MODEL_SCALAR(name, T, expression)                                               \
  void name(T* to, T* from, T scalar, uint8_t repeat, uint16_t to_block, uint16_t from_block, \
            uint16_t to_repeat, uint16_t from_repeat) {                                       \
    latte::model::unary<T, T>(#name, to, from, repeat, to_block, from_block, to_repeat,       \
                              from_repeat, [scalar](const T* x) { return expression; });      \
  }
LATTE_MODEL_SCALAR(vadds, float, *x + scalar)
LATTE_MODEL_SCALAR(vmuls, float, *x* scalar)
LATTE_MODEL_SCALAR(vadds, int32_t,
                   static_cast<int32_t>(static_cast<uint32_t>(*x) + static_cast<uint32_t>(scalar)))

#define LATTE_MODEL_CONVERT_AS(name, To, From, Stride)                                  \
  void name(To* to, From* from, uint8_t repeat, uint16_t to_block, uint16_t from_block, \
            Stride to_repeat, Stride from_repeat) {                                     \
    using C = latte::model::Conversion<To, From>;                                       \
    latte::model::unary<C::Store, From>(                                                \
        #name, to, from, repeat, to_block, from_block, to_repeat, from_repeat,          \
        [](const From* x) { return C::of(*x, latte::model::rounding(#name)); });        \
  }
#define LATTE_MODEL_DEFINE_WIDE(name, To, From) LATTE_MODEL_CONVERT_AS(name, To, From, uint16_t)
#define LATTE_MODEL_DEFINE(name, To, From) LATTE_MODEL_CONVERT_AS(name, To, From, uint8_t)
LATTE_MODEL_CONVERSIONS(LATTE_MODEL_DEFINE_WIDE, LATTE_MODEL_DEFINE)

void vgather(uint16_t* to, uint32_t* offsets, uint32_t, uint16_t to_repeat, uint8_t repeat) {
  latte::model::gather("vgather", to, offsets, to_repeat, repeat);
}
void vgather(uint32_t* to, uint32_t* offsets, uint32_t, uint16_t to_repeat, uint8_t repeat) {
  latte::model::gather("vgather", to, offsets, to_repeat, repeat);
}

namespace AscendC {
void SetModelGatherbSrc0Tensor(uint64_t base, const uint32_t length) {
  core().gather_base = base;
  core().gather_length = length;
}
}  // namespace AscendC
