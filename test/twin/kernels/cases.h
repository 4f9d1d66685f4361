// Cases that run a kernel on the model in both orders and compare with plain loops.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "../model/launch.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::kernel_test {

/// Device memory of one launch. A kernel that touches anything outside of its buffers fails.
class Memory {
 public:
  /// The buffer is filled with NaN, so that elements that a kernel leaves out are noticed.
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

/// Runs a case; throws what went wrong: a fault of the model, or a wrong result.
using Case = std::function<void(model::Schedule schedule)>;

struct NamedCase {
  std::string name;
  Case run;
};

struct VideoShape {
  DType dtype;
  int64_t outer, inner, channels, height, width;
};
/// Returns a view of a video [outer, C, inner, H, W], which kernels read in place.
LatentView video(const VideoShape& shape);

void add_timestep_cases(std::vector<NamedCase>& cases);
void add_patchify_cases(std::vector<NamedCase>& cases);
void add_fused_cases(std::vector<NamedCase>& cases);

void require(bool condition, const std::string& message);

}  // namespace latte::kernel_test
