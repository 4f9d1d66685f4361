#include "core/tensor_view.h"

#include "core/error.h"

namespace latte {

int64_t element_count(const Shape& shape) {
  constexpr int64_t kMost = int64_t{1} << 47;
  int64_t count = 1;
  bool empty = false;
  for (const int64_t length : shape) {
    if (length < 0) fail(ErrorCode::kShape, "shape ", ShowShape{shape}, " has a negative length");
    if (length == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, length, &count) || count > kMost) {
      fail(ErrorCode::kShape, "shape ", ShowShape{shape}, " asks for more than 2^47 elements");
    }
  }
  return empty ? 0 : count;
}

std::ostream& operator<<(std::ostream& out, const ShowShape& show) {
  out << '[';
  for (size_t i = 0; i < show.shape.size(); ++i) out << (i ? ", " : "") << show.shape[i];
  return out << ']';
}

}  // namespace latte
