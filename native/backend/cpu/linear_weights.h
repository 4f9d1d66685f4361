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

/// Packed into panels of `panel` output features. A panel is [in_features][panel] in the weights'
/// dtype; in bfloat16 it is [in_features / n][panel][n] with n = bfloat_neighbours(), where
/// in_features is padded with zeros to a multiple of n. The last panel is padded with zeros.
class CpuLinearWeights final : public LinearWeights {
 public:
  void unpack(void* weight, void* bias) const override;

  const uint64_t id = next_id();  // no other weights of this process have it
  int64_t panel = 0;              // output features of a panel: panel_width()
  system::Memory panels;          // [⌈out_features / panel⌉] panels
  std::vector<float> bias;        // padded with zeros to whole panels; all zeros without a bias

  /// The same weights in the patch projection's layout, packed by the first projection that uses
  /// them: [0] unchanged, [1] centred over the channels.
  struct Patches {
    std::once_flag once;
    std::shared_ptr<const PatchWeights> packed;
  };
  mutable std::array<Patches, 2> patches;

 private:
  static uint64_t next_id();
};

/// Packs `weight` [out, in, …] and `bias` [out] (or null), converted to `dtype`.
std::shared_ptr<const LinearWeights> pack_linear(const TensorView& weight, const TensorView* bias,
                                                 DType dtype);

/// The weights that this device prepared, as their own type.
inline const CpuLinearWeights& as_cpu(const LinearWeights& weights) {
  return static_cast<const CpuLinearWeights&>(weights);
}

/// How many output features a panel of target()'s kernels has.
int64_t panel_width();

}  // namespace latte::cpu
