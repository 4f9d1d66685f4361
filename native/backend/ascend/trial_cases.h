// Small cases of our kernels, with a check of the results. A device runs them before it uses the
// kernels.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "backend/ascend/kernels.h"
#include "backend/ascend/kernels/tiling.h"

namespace latte::ascend {

/// One case: one launch of one kernel.
struct TrialCase {
  std::string name;                            // in messages
  std::vector<std::vector<std::byte>> inputs;  // the bytes of each
  size_t output_bytes = 0;
  /// Launches the kernel on the stream. `inputs` and `output` are device memory.
  std::function<int(const Kernels& kernels, aclrtStream stream,
                    const std::vector<const void*>& inputs, void* output)>
      launch;
  /// Whether the output, copied to the host, is right.
  std::function<bool(const std::byte* output)> is_right;
};

/// timestep_projection and patchify in each dtype. The tilings are for a device with two cores, so
/// that a case has whole tiles and a smaller one at the end.
std::vector<TrialCase> plain_trial_cases();
/// The fused patch_projection in each dtype, with the same tilings.
std::vector<TrialCase> fused_trial_cases();

}  // namespace latte::ascend
