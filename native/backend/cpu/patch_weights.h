// The weights of a patch projection as its kernel reads them.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "system/memory_pool.h"

namespace latte::cpu {

/// Panels of output channels, [depth][panel] each, the last one padded with zeros. They are float32
/// in layers of every dtype, so that the kernel's inner loop neither converts nor masks.
struct PatchWeights {
  system::Memory panels;
  std::vector<float> bias;  // padded with zeros to whole panels

  /// Only of centred weights; else empty. With x = [patch, 1], the variance of the patch's channels
  /// is |R·x|²: so the layer norm needs no pass over them. R is the upper triangle, of size
  /// depth + 1, of the QR decomposition of [weight, bias]/√dim; here its rows, one after another.
  std::vector<float> spread;
};

/// Packs weights for panels of `panel` channels. If `centred`, each column of [weight, bias] is
/// centred over the channels first: then the channels of every patch have mean zero. This is for a
/// layer norm without affine parameters that follows the projection.
std::shared_ptr<const PatchWeights> pack_patches(const LinearWeights& weights, int64_t panel,
                                                 bool centred);

}  // namespace latte::cpu
