#include "core/position_table.h"

#include <algorithm>
#include <cmath>

namespace latte {

template <class T>
void sincos_rows(const double* positions, int64_t count, int64_t dim, T* rows) {
  if (count == 0) return;
  const int64_t half = dim / 2;
  std::vector<double> omega(static_cast<size_t>(half));
  for (int64_t k = 0; k < half; ++k) {
    omega[k] = 1.0 / std::pow(10000.0, static_cast<double>(k) / (static_cast<double>(dim) / 2.0));
  }
  for (int64_t m = 0; m < count; ++m) {
    T* row = rows + m * dim;
    for (int64_t k = 0; k < half; ++k) {
      const double angle = positions[m] * omega[k];
      row[k] = static_cast<T>(std::sin(angle));
      row[half + k] = static_cast<T>(std::cos(angle));
    }
  }
}

std::vector<double> grid_positions(int64_t length, int64_t base_size, double interpolation_scale) {
  const auto step =
      static_cast<float>(static_cast<double>(length) / static_cast<double>(base_size));
  const auto scale = static_cast<float>(interpolation_scale);
  std::vector<double> positions(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) {
    const float scaled = static_cast<float>(i) / step;
    positions[i] = scaled / scale;
  }
  return positions;
}

template <class T>
void BasicPositionTable<T>::expand(T* table) const {
  if (!is_separable()) {
    std::copy(whole.begin(), whole.end(), table);
    return;
  }
  const int64_t half = dim / 2;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      table = std::copy_n(columns.data() + x * half, half, table);
      table = std::copy_n(rows.data() + y * half, half, table);
    }
  }
}

template <class T>
BasicPositionTable<T> grid_table(int64_t height, int64_t width, int64_t dim, int64_t base_size,
                                 double interpolation_scale) {
  BasicPositionTable<T> table;
  table.dim = dim;
  table.height = height;
  table.width = width;
  if (height == 0 || width == 0) return table;
  const int64_t half = dim / 2;
  table.columns.resize(static_cast<size_t>(width * half));
  table.rows.resize(static_cast<size_t>(height * half));
  sincos_rows(grid_positions(width, base_size, interpolation_scale).data(), width, half,
              table.columns.data());
  sincos_rows(grid_positions(height, base_size, interpolation_scale).data(), height, half,
              table.rows.data());
  return table;
}

template <class T>
VideoTable<T>::VideoTable(int64_t dim, int64_t frame_count, int64_t height, int64_t width,
                          double spatial_scale, double temporal_scale)
    : dim(dim), frame_count(frame_count), height(height), width(width) {
  const auto axis = [](int64_t length, double scale, int64_t features, std::vector<T>& rows) {
    std::vector<double> positions(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i) {
      positions[i] = static_cast<float>(i) / static_cast<float>(scale);
    }
    rows.resize(static_cast<size_t>(length * features));
    sincos_rows(positions.data(), length, features, rows.data());
  };
  axis(frame_count, temporal_scale, dim / 4, frames);
  axis(width, spatial_scale, dim / 8 * 3, columns);
  axis(height, spatial_scale, dim / 8 * 3, rows);
}

template <class T>
void VideoTable<T>::expand(int64_t frame, T* table) const {
  const int64_t quarter = dim / 4, rest = dim / 8 * 3;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      table = std::copy_n(frames.data() + frame * quarter, quarter, table);
      table = std::copy_n(columns.data() + x * rest, rest, table);
      table = std::copy_n(rows.data() + y * rest, rest, table);
    }
  }
}

template void sincos_rows<float>(const double*, int64_t, int64_t, float*);
template void sincos_rows<double>(const double*, int64_t, int64_t, double*);
template struct BasicPositionTable<float>;
template struct BasicPositionTable<double>;
template struct VideoTable<float>;
template struct VideoTable<double>;
template BasicPositionTable<float> grid_table(int64_t, int64_t, int64_t, int64_t, double);
template BasicPositionTable<double> grid_table(int64_t, int64_t, int64_t, int64_t, double);

}  // namespace latte
