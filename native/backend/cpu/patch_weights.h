// The weights of a patch projection as its kernel reads them.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "system/memory_pool.h"

namespace latte::cpu {

/// Panels of `panel` channels, [depth][panel] each, float32 whatever the layer's dtype is, the last
/// one padded with zeros: nothing is left to convert or to mask in the kernel's inner loop.
struct PatchWeights {
  system::Memory panels;
  std::vector<float> bias;  // padded to whole panels

  /// Of centred weights alone: the rows of R, an upper triangle of depth + 1. With x = [patch, 1],
  /// the variance of the patch's channels is |R·x|².
  std::vector<float> spread;
};

/// Packs weights as they are, or for a layer norm without affine parameters to follow: then each
/// column of [weight, bias] is centred over the channels, so that the channels' mean is zero for
/// every patch.
std::shared_ptr<const PatchWeights> pack_patches(const LinearWeights& weights, int64_t panel,
                                                 bool centred);

}  // namespace latte::cpu
