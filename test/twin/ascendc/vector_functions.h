// The vector functions that our kernels call, over the first `count` elements.
#pragma once

#include "tensors.h"

namespace AscendC {

enum class RoundMode {
  CAST_NONE,
  CAST_RINT,
  CAST_FLOOR,
  CAST_CEIL,
  CAST_ROUND,
  CAST_TRUNC,
  CAST_ODD
};

/// While an object of this class lives, instructions process the number of elements given to it.
class CountedMask {
 public:
  explicit CountedMask(int32_t count) {
    if (count <= 0) throw latte::model::Fault("a vector function of no elements");
    set_mask_count();
    set_vector_mask(0, static_cast<uint64_t>(count));
  }
  ~CountedMask() {
    set_vector_mask(~uint64_t{0}, ~uint64_t{0});
    set_mask_norm();
  }
};

inline void Duplicate(const LocalTensor<float>& to, float value, int32_t count) {
  const CountedMask mask(count);
  vector_dup(to.pointer(), value, 1, 1, 1, 8, 0);
}
inline void Abs(const LocalTensor<float>& to, const LocalTensor<float>& from, int32_t count) {
  const CountedMask mask(count);
  vabs(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
}

#define LATTE_MODEL_BINARY(Name, instruction)                                 \
  inline void Name(const LocalTensor<float>& to, const LocalTensor<float>& a, \
                   const LocalTensor<float>& b, int32_t count) {              \
    const CountedMask mask(count);                                            \
    instruction(to.pointer(), a.pointer(), b.pointer(), 1, 1, 1, 1, 8, 8, 8); \
  }
LATTE_MODEL_BINARY(Add, vadd)
LATTE_MODEL_BINARY(Sub, vsub)
LATTE_MODEL_BINARY(Mul, vmul)
#undef LATTE_MODEL_BINARY

template <class T>
inline void Adds(const LocalTensor<T>& to, const LocalTensor<T>& from, T scalar, int32_t count) {
  const CountedMask mask(count);
  vadds(to.pointer(), from.pointer(), scalar, 1, 1, 1, 8, 8);
}
template <class T>
inline void Muls(const LocalTensor<T>& to, const LocalTensor<T>& from, T scalar, int32_t count) {
  const CountedMask mask(count);
  vmuls(to.pointer(), from.pointer(), scalar, 1, 1, 1, 8, 8);
}

[[noreturn]] inline void no_such_rounding() {
  throw latte::model::Fault("Cast: these types have no such rounding mode");
}

inline void Cast(const LocalTensor<int32_t>& to, const LocalTensor<float>& from, RoundMode mode,
                 int32_t count) {
  const CountedMask mask(count);
  switch (mode) {
    case RoundMode::CAST_RINT:
      return vconv_f322s32r(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
    case RoundMode::CAST_FLOOR:
      return vconv_f322s32f(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
    case RoundMode::CAST_TRUNC:
      return vconv_f322s32z(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
    default:
      no_such_rounding();
  }
}
inline void Cast(const LocalTensor<float>& to, const LocalTensor<int32_t>& from, RoundMode mode,
                 int32_t count) {
  const CountedMask mask(count);
  switch (mode) {
    case RoundMode::CAST_NONE:
      return vconv_s322f32(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
    case RoundMode::CAST_RINT:
      return vconv_s322f32r(to.pointer(), from.pointer(), 1, 1, 1, 8, 8);
    default:
      no_such_rounding();
  }
}
inline void Cast(const LocalTensor<half>& to, const LocalTensor<float>& from, RoundMode mode,
                 int32_t count) {
  const CountedMask mask(count);
  switch (mode) {
    case RoundMode::CAST_NONE:
      return vconv_f322f16(to.pointer(), from.pointer(), 1, 1, 1, 4, 8);
    case RoundMode::CAST_RINT:
      return vconv_f322f16r(to.pointer(), from.pointer(), 1, 1, 1, 4, 8);
    case RoundMode::CAST_TRUNC:
      return vconv_f322f16z(to.pointer(), from.pointer(), 1, 1, 1, 4, 8);
    default:
      no_such_rounding();
  }
}
/// A conversion to bfloat16 has no CAST_NONE.
inline void Cast(const LocalTensor<bfloat16_t>& to, const LocalTensor<float>& from, RoundMode mode,
                 int32_t count) {
  const CountedMask mask(count);
  switch (mode) {
    case RoundMode::CAST_RINT:
      return vconv_f322bf16r(to.pointer(), from.pointer(), 1, 1, 1, 4, 8);
    case RoundMode::CAST_TRUNC:
      return vconv_f322bf16z(to.pointer(), from.pointer(), 1, 1, 1, 4, 8);
    default:
      no_such_rounding();
  }
}

template <class T>
inline void Gather(const LocalTensor<T>& to, const LocalTensor<T>& from,
                   const LocalTensor<uint32_t>& offsets, uint32_t base, uint32_t count) {
  constexpr uint32_t lanes = 256 / sizeof(T);
  const uint32_t repeats = count / lanes, rest = count % lanes;
  // Ascend C passes the number of repeats in 8 bits, unchecked.
  if (repeats > 255) throw latte::model::Fault("Gather: more than 255 repeats");
  const auto select = [](uint32_t elements) {
    const uint64_t all = ~uint64_t{0};
    const auto bits = [&](uint32_t n) { return n >= 64 ? all : (uint64_t{1} << n) - 1; };
    set_vector_mask(elements > 64 ? bits(elements - 64) : 0, bits(elements));
  };
  SetModelGatherbSrc0Tensor(reinterpret_cast<uint64_t>(from.pointer()) + base, from.GetSize());
  if (repeats > 0) {
    select(lanes);
    vgather(to.pointer(), offsets.pointer(), 0, 8, static_cast<uint8_t>(repeats));
  }
  if (rest > 0) {
    select(rest);
    vgather(to[repeats * lanes].pointer(), offsets[repeats * lanes].pointer(), 0, 8, 1);
  }
  set_vector_mask(~uint64_t{0}, ~uint64_t{0});
}

}  // namespace AscendC
