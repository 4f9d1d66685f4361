// Small cases of our kernels, with what they must give: a device tries them before it uses them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "backend/ascend/kernels.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::ascend {

struct TrialCase {
  std::string name;
  std::vector<std::vector<std::byte>> inputs;
  size_t output_bytes = 0;
  /// Launches on the stream; `inputs` and `output` are device memory.
  std::function<int(const Kernels& kernels, aclrtStream stream,
                    const std::vector<const void*>& inputs, void* output)>
      launch;
  /// Whether the output, copied to the host, is right.
  std::function<bool(const std::byte* output)> is_right;
};

/// Sinusoids and patches in each dtype. The tilings are those of a device with two cores, so that
/// one case has whole tiles and a smaller one at the end.
std::vector<TrialCase> plain_trial_cases();
/// The fused projection in each dtype, likewise.
std::vector<TrialCase> fused_trial_cases();

}  // namespace latte::ascend
