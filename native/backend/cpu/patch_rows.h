// The output rows of a patch projection, and the order in which they are computed.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace latte::cpu {

/// One token of the output.
struct PatchRow {
  int64_t latent = 0;                              // where its patch begins, in elements
  void* output = nullptr;                          // where its channels go
  const float* positions[2] = {nullptr, nullptr};  // added to each half of them

  float position(int64_t channel, int64_t half) const {
    return channel < half ? positions[0][channel] : positions[1][channel - half];
  }
};

/// The order is (group of images, token, image of the group).
class PatchRows {
 public:
  explicit PatchRows(const PatchProjectionArgs& args);

  int64_t count() const { return images_ * height_ * width_; }
  int64_t tokens() const { return height_ * width_; }

  /// Rows first … first + count − 1.
  void list(int64_t first, int64_t count, PatchRow* rows) const;

 private:
  PatchRow row(int64_t image, int64_t y, int64_t x) const;

  const PatchProjectionArgs& args_;
  const int64_t images_, height_, width_, dim_;
  std::vector<int64_t> frames_;  // where the first frame of each image begins
  std::vector<float> zeros_;     // where there are no positions
};

}  // namespace latte::cpu
