// How the host cuts the work of our kernels into tiles. Each function returns std::nullopt if its
// kernel does not support the case: aclnn operations then compute it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "backend/ascend/kernels/kernel_plugin_abi.h"
#include "backend/backend.h"

namespace latte::ascend {

/// Asked at run time: aclGetDeviceCapability.
struct CoreCounts {
  int64_t cube = 0;
  int64_t vector = 0;
};

/// The kernel reads the timesteps and the frequencies (float32 [dim/2]) from device memory. An
/// empty output needs no launch: nothing is returned for it, too.
std::optional<latte_timestep_tiling> timestep_tiling(CoreCounts cores,
                                                     const TimestepProjectionArgs& args);

/// Patches have the dtype of the latent.
std::optional<latte_patchify_tiling> patchify_tiling(CoreCounts cores, const LatentView& latent,
                                                     int64_t patch_size);

/// `latent` already has the layer's dtype. `positions` is null if no table is added.
std::optional<latte_fused_tiling> fused_tiling(CoreCounts cores, const LatentView& latent,
                                               int64_t patch_size, int64_t dim,
                                               const PositionTable* positions);

/// The fused kernel's constant operand: weights [dim, C·p·p] and bias [dim] (or null), both of the
/// layer's dtype, and the table. Made once for a layer and a grid, and copied to the device as it
/// is. Empty if a value of the bias or the table is not finite: the kernel would spread it.
std::vector<std::byte> fused_operand(const latte_fused_tiling& tiling, const void* weight,
                                     const void* bias, const PositionTable* positions);

/// LATTE_KERNEL_FLOAT32 …; nothing for types that no kernel takes.
std::optional<uint32_t> kernel_dtype(DType dtype);

}  // namespace latte::ascend
