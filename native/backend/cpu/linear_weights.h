// Linear weights as the CPU's kernels read them.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/patch_weights.h"
#include "system/memory_pool.h"

namespace latte::cpu {

/// Panels of `panel` output features, of the weights' dtype: [in_features][panel] each, but
/// [in_features / 2][panel][2] of bfloat16 (an odd one is filled up with zeros). The bias as
/// float32, padded with zeros to whole panels.
class CpuLinearWeights final : public LinearWeights {
 public:
  void unpack(void* weight, void* bias) const override;

  int64_t panel = 0;
  system::Memory panels;
  std::vector<float> bias;

  /// The same weights in the patch projection's layout, made at its first use: [0] as they are,
  /// [1] centred.
  struct Patches {
    std::once_flag once;
    std::shared_ptr<const PatchWeights> packed;
  };
  mutable std::array<Patches, 2> patches;
};

std::shared_ptr<const LinearWeights> pack_linear(const TensorView& weight, const TensorView* bias,
                                                 DType dtype);

inline const CpuLinearWeights& as_cpu(const LinearWeights& weights) {
  return static_cast<const CpuLinearWeights&>(weights);
}

/// How many output features a panel of this processor's kernels has.
int64_t panel_width();

}  // namespace latte::cpu
