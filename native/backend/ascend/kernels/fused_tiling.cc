#include "backend/ascend/kernels/tiling.h"

namespace latte::ascend {

std::optional<latte_fused_tiling> fused_tiling(CoreCounts, const LatentView&, int64_t, int64_t,
                                               const HostPositionTable*) {
  return std::nullopt;
}

std::vector<uint16_t> fused_operand(const latte_fused_tiling&, const uint16_t*, const uint16_t*,
                                    const HostPositionTable*) {
  return {};
}

}  // namespace latte::ascend
