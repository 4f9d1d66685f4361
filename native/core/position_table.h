// Sinusoidal position tables (get_{1,2}d_sincos_pos_embed of diffusers and mindone), in float64.
#pragma once

#include <cstdint>
#include <vector>

namespace latte {

/// Row m is [sin(positions[m]·ω) | cos(positions[m]·ω)] with ω_k = 10000^(−k/(dim/2)); dim is even.
/// T is float or double: the float table is the double one rounded.
template <class T>
void sincos_rows(const double* positions, int64_t count, int64_t dim, T* rows);

/// The positions along one axis of a 2-D grid of `length` steps: float32, rounded at every step,
/// as the reference does.
std::vector<double> grid_positions(int64_t length, int64_t base_size, double interpolation_scale);

/// A position table [height·width, dim] for a grid, h-major. The 2-D table is separable: the first
/// half of each row depends on the column alone, the second half on the row alone.
template <class T>
struct SeparableTable {
  int64_t height = 0;
  int64_t width = 0;
  int64_t dim = 0;
  std::vector<T> columns;  // [width, dim/2]
  std::vector<T> rows;     // [height, dim/2]

  /// Writes the whole table.
  void expand(T* table) const;
};

template <class T>
SeparableTable<T> grid_table(int64_t height, int64_t width, int64_t dim, int64_t base_size,
                             double interpolation_scale);

}  // namespace latte
