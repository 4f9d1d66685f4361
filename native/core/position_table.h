// Sinusoidal position tables (get_{1,2}d_sincos_pos_embed of diffusers and mindone), in float64.
#pragma once

#include <cstdint>
#include <vector>

namespace latte {

/// Writes rows [count, dim]: row m is [sin(positions[m]·ω) | cos(positions[m]·ω)] with
/// ω_k = 10000^(−k/(dim/2)); dim is even. T is float or double; float rows are the double ones,
/// rounded.
template <class T>
void sincos_rows(const double* positions, int64_t count, int64_t dim, T* rows);

/// The `length` positions along one axis of a 2-D grid: i / (length/base_size) /
/// interpolation_scale. As in the reference, each step is rounded to float32.
std::vector<double> grid_positions(int64_t length, int64_t base_size, double interpolation_scale);

/// A position table in host memory: row i is added to token i. It has one of two forms. A separable
/// table is for a grid of tokens in row-major order: the first half of a row depends only on the
/// token's column, the second half only on its row. A whole table has one row for each token, or
/// one row for all of them.
template <class T>
struct BasicPositionTable {
  int64_t dim = 0;                // channels of a token
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

/// The parts of a position table for the tokens of a video. With D = dim, a multiple of 16, the row
/// of a token is [frame D/4 | column 3D/8 | row 3D/8].
template <class T>
struct VideoTable {
  int64_t dim = 0, frame_count = 0, height = 0, width = 0;
  std::vector<T> frames, columns, rows;  // [frame_count, D/4], [width, 3D/8], [height, 3D/8]

  /// Positions are i / scale in float32; angles, sines and cosines are float64.
  VideoTable(int64_t dim, int64_t frame_count, int64_t height, int64_t width, double spatial_scale,
             double temporal_scale);
  /// Writes the rows for the tokens of a frame, in row-major order: [height·width, dim].
  void expand(int64_t frame, T* table) const;
};

/// The table of layers, which add float32 positions.
using PositionTable = BasicPositionTable<float>;

/// The separable table of a grid of height × width tokens, with grid_positions() on both axes.
template <class T>
BasicPositionTable<T> grid_table(int64_t height, int64_t width, int64_t dim, int64_t base_size,
                                 double interpolation_scale);

}  // namespace latte
