// The output rows of a patch projection, and the order in which they are computed.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/operations.h"

namespace latte::cpu {

/// One token of the output.
struct PatchRow {
  int64_t latent = 0;                              // offset of its patch in the latent, in elements
  void* output = nullptr;                          // where its first channel is written
  const float* positions[2] = {nullptr, nullptr};  // added to the channels' lower, upper half

  /// What is added to `channel`; the lower half has `half` channels.
  float position(int64_t channel, int64_t half) const {
    return channel < half ? positions[0][channel] : positions[1][channel - half];
  }
};

/// All rows of a patch projection, in the order (group of images, token, image of the group): rows
/// side by side are the same token of several images, and share their positions.
class PatchRows {
 public:
  explicit PatchRows(const PatchProjectionArgs& args);

  /// Lets the rows' positions include the bias, so that it need not be added for each row, and
  /// returns true; returns false if the table is whole, as large as the output.
  bool include_bias();

  int64_t count() const { return images_ * height_ * width_; }
  int64_t tokens() const { return height_ * width_; }

  /// Writes rows first … first + count − 1 to `rows`.
  void list(int64_t first, int64_t count, PatchRow* rows) const;

 private:
  /// Where the positions of one half of the channels lie, for each token.
  struct Half {
    const float* begin;
    int64_t row_step, column_step;  // in elements, for the next row and column of tokens
  };

  PatchRow row(int64_t image, int64_t y, int64_t x) const;
  void use_table(const std::vector<float>& columns, const std::vector<float>& rows);

  const PatchProjectionArgs& args_;
  const int64_t images_, height_, width_, dim_;
  std::vector<int64_t> frames_;  // [images]: the offset of its first frame, in elements
  std::vector<float> zeros_;     // a half row of positions, if the projection has none
  Half halves_[2];
  std::shared_ptr<const CpuPositions::Biased> biased_;  // keeps the table of halves_
};

}  // namespace latte::cpu
