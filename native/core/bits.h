// A stand-in for std::bit_cast, which the standard library of GCC 10 (openEuler 22.03) lacks.
#pragma once

#include <cstring>
#include <type_traits>

namespace latte {

/// The bits of `value` as a `To` of the same size.
template <class To, class From>
To bits_as(const From& value) {
  static_assert(sizeof(To) == sizeof(From));
  static_assert(std::is_trivially_copyable_v<To> && std::is_trivially_copyable_v<From>);
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

}  // namespace latte
