// Runs a kernel on the model in both orders and compares with plain loops.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "../model/launch.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::kernel_test {

/// Device memory of one launch: what is not in one of its buffers may not be touched.
class Memory {
 public:
  /// Filled with NaN, so that what a kernel leaves out is seen.
  uint8_t* add(size_t bytes);
  uint8_t* add(const void* content, size_t bytes);
  model::Resolve resolver() const;

 private:
  struct Region {
    std::vector<uint8_t> bytes;
    uint8_t* begin;
    size_t size;
  };
  std::vector<Region> regions_;
};

/// What went wrong in a case: a fault of the model, or a wrong result.
using Case = std::function<void(model::Schedule schedule)>;

struct NamedCase {
  std::string name;
  Case run;
};

struct VideoShape {
  DType dtype;
  int64_t outer, inner, channels, height, width;
};
/// A video [outer, C, inner, H, W], read in place.
LatentView video(const VideoShape& shape);

void add_timestep_cases(std::vector<NamedCase>& cases);
void add_patchify_cases(std::vector<NamedCase>& cases);
void add_fused_cases(std::vector<NamedCase>& cases);

void require(bool condition, const std::string& message);

}  // namespace latte::kernel_test
