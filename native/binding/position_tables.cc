#include "binding/position_tables.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "backend/registry.h"
#include "binding/tensor.h"
#include "core/position_table.h"

namespace latte::binding {

namespace {

/// Argument i, a size. TypeScript has checked it; it is checked again so that nothing can be
/// written out of bounds.
int64_t size_of(const Call& call, size_t i) {
  constexpr int64_t kMost = int64_t{1} << 32;
  const int64_t size = integer_of(call.env, call[i]);
  if (size < 0 || size > kMost) fail(ErrorCode::kValue, "a size of ", size, " is out of range");
  return size;
}

/// The table [rows, dim] to fill; dim is a multiple of `divisor`.
Tensor make_table(const Call& call, size_t dtype_argument, int64_t rows, int64_t dim,
                  int64_t divisor) {
  const DType dtype = dtype_of(call.env, call[dtype_argument]);
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) {
    fail(ErrorCode::kDType, "a position table is float32 or float64");
  }
  if (dim % divisor != 0) fail(ErrorCode::kValue, "dim must be a multiple of ", divisor);
  return allocate_on_host({dtype, {rows, dim}});
}

/// Calls function(T*) with the data of a float32 or float64 tensor.
template <class Function>
void with_real(const Tensor& tensor, const Function& function) {
  if (tensor.dtype == DType::kFloat64) {
    function(static_cast<double*>(tensor.data));
  } else {
    function(static_cast<float*>(tensor.data));
  }
}

/// The values of argument i, a tensor, as doubles.
std::vector<double> doubles_of(const Call& call, size_t i) {
  const Tensor tensor = on_host(TensorHandle(call.env, call[i]).resolve());
  std::vector<double> values(static_cast<size_t>(tensor.size()));
  const TensorView to{{DType::kFloat64, tensor.shape}, values.data()};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, to); });
  return values;
}

}  // namespace

napi_value sincos_1d(const Call& call) {
  const int64_t dim = size_of(call, 0);
  const int64_t length = size_of(call, 1);
  const double scale = number_of(call.env, call[2]);
  Tensor table = make_table(call, 3, length, dim, 2);
  std::vector<double> positions(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) positions[i] = static_cast<double>(i) / scale;
  with_real(table, [&](auto* rows) { sincos_rows(positions.data(), length, dim, rows); });
  return make_tensor(call.env, std::move(table));
}

napi_value sincos_from_grid(const Call& call) {
  const int64_t dim = size_of(call, 0);
  const auto positions = doubles_of(call, 1);
  const auto count = static_cast<int64_t>(positions.size());
  Tensor table = make_table(call, 2, count, dim, 2);
  with_real(table, [&](auto* rows) { sincos_rows(positions.data(), count, dim, rows); });
  return make_tensor(call.env, std::move(table));
}

napi_value sincos_2d(const Call& call) {
  const int64_t dim = size_of(call, 0), height = size_of(call, 1), width = size_of(call, 2);
  const int64_t extra = size_of(call, 3), base = size_of(call, 5);
  const double scale = number_of(call.env, call[4]);
  Tensor table = make_table(call, 6, extra + element_count({height, width}), dim, 4);
  with_real(table, [&](auto* rows) {
    using T = std::remove_pointer_t<decltype(rows)>;
    std::fill_n(rows, extra * dim, T{0});
    grid_table<T>(height, width, dim, base, scale).expand(rows + extra * dim);
  });
  return make_tensor(call.env, std::move(table));
}

napi_value sincos_2d_from_grid(const Call& call) {
  const int64_t dim = size_of(call, 0);
  const auto positions = doubles_of(call, 1);
  const auto count = static_cast<int64_t>(positions.size() / 2);
  Tensor table = make_table(call, 2, count, dim, 4);
  with_real(table, [&](auto* rows) {
    using T = std::remove_pointer_t<decltype(rows)>;
    std::vector<T> half(static_cast<size_t>(count * (dim / 2)));
    for (int64_t axis = 0; axis < 2; ++axis) {
      sincos_rows(positions.data() + axis * count, count, dim / 2, half.data());
      for (int64_t row = 0; row < count; ++row) {
        std::copy_n(half.data() + row * (dim / 2), dim / 2, rows + row * dim + axis * (dim / 2));
      }
    }
  });
  return make_tensor(call.env, std::move(table));
}

napi_value sincos_3d(const Call& call) {
  const int64_t dim = size_of(call, 0), frames = size_of(call, 1);
  const int64_t height = size_of(call, 2), width = size_of(call, 3);
  const double spatial_scale = number_of(call.env, call[4]);
  const double temporal_scale = number_of(call.env, call[5]);
  const int64_t tokens = element_count({height, width});
  Tensor table = make_table(call, 6, element_count({frames, tokens}), dim, 16);
  table.shape = {frames, tokens, dim};
  with_real(table, [&](auto* rows) {
    using T = std::remove_pointer_t<decltype(rows)>;
    const VideoTable<T> parts(dim, frames, height, width, spatial_scale, temporal_scale);
    for (int64_t frame = 0; frame < frames; ++frame) {
      parts.expand(frame, rows + frame * tokens * dim);
    }
  });
  return make_tensor(call.env, std::move(table));
}

}  // namespace latte::binding
