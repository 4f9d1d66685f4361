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

/// A position table in host memory: row i is added to token i. Either separable, for a grid of
/// tokens in row-major order: the first half of a row depends on the token's column alone, the
/// second half on its row alone. Or whole: one row for each token, or one row for all of them.
template <class T>
struct BasicPositionTable {
  int64_t dim = 0;
  int64_t height = 0, width = 0;  // of a separable table's grid, in tokens
  std::vector<T> columns;  // [width, dim/2] of a separable table: a half for each grid column
  std::vector<T> rows;     // [height, dim/2] of a separable table: a half for each grid row
  int64_t whole_rows = 0;  // how many rows `whole` has; 0: the table is separable
  std::vector<T> whole;    // [whole_rows, dim]

  bool is_separable() const { return whole_rows == 0; }
  int64_t row_count() const { return is_separable() ? height * width : whole_rows; }
  /// Writes the table as [row_count(), dim].
  void expand(T* table) const;
};

/// The parts of a table for the tokens of a video: a row is [frame D/4 | column 3D/8 | row 3D/8];
/// dim is a multiple of 16.
template <class T>
struct VideoTable {
  int64_t dim = 0, frame_count = 0, height = 0, width = 0;
  std::vector<T> frames, columns, rows;  // [frame_count, D/4], [width, 3D/8], [height, 3D/8]

  /// Positions are i / scale in float32; from the angles on float64.
  VideoTable(int64_t dim, int64_t frame_count, int64_t height, int64_t width, double spatial_scale,
             double temporal_scale);
  /// Writes the rows of a frame, row-major: [height·width, dim].
  void expand(int64_t frame, T* table) const;
};

/// What layers add to tokens.
using PositionTable = BasicPositionTable<float>;

/// The separable table of a grid.
template <class T>
BasicPositionTable<T> grid_table(int64_t height, int64_t width, int64_t dim, int64_t base_size,
                                 double interpolation_scale);

}  // namespace latte
