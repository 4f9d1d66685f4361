// How the host cuts the work of our kernels into tiles. Each tiling function returns std::nullopt
// if its kernel does not support the case; then aclnn operations compute it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "backend/ascend/kernels/kernel_plugin_abi.h"
#include "backend/backend.h"

namespace latte::ascend {

/// The number of cores of each kind, by aclGetDeviceCapability.
struct CoreCounts {
  int64_t cube = 0;
  int64_t vector = 0;
};

/// For timestep_projection. The kernel reads timesteps [count] and frequencies [dim/2], both
/// float32. Also returns std::nullopt for an empty output, which needs no launch.
std::optional<latte_timestep_tiling> timestep_tiling(CoreCounts cores,
                                                     const TimestepProjectionArgs& args);

/// For patchify, whose patches have the dtype of the latent.
std::optional<latte_patchify_tiling> patchify_tiling(CoreCounts cores, const LatentView& latent,
                                                     int64_t patch_size);

/// For the fused patch_projection. `latent` has the layer's dtype. `positions` is null if the
/// projection adds no table.
std::optional<latte_fused_tiling> fused_tiling(CoreCounts cores, const LatentView& latent,
                                               int64_t patch_size, int64_t dim,
                                               const PositionTable* positions);

/// Makes the fused kernel's constant operand, once for a layer and a grid: weights [dim, C·p·p],
/// bias [dim] (or null), both of the layer's dtype, and the table. Returns an empty vector if a
/// value of the bias or the table is not finite, because the product with one-hot vectors would
/// spread it to other tokens.
std::vector<std::byte> fused_operand(const latte_fused_tiling& tiling, const void* weight,
                                     const void* bias, const PositionTable* positions);

/// LATTE_KERNEL_FLOAT32 and so on; std::nullopt if no kernel supports the dtype.
std::optional<uint32_t> kernel_dtype(DType dtype);

}  // namespace latte::ascend
