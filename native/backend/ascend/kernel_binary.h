// The device binary: our Ascend C kernels in one file, launched through ACL's public functions.
// Such a launch allocates no device memory and prints nothing, and the host needs no generated
// code.
#pragma once

#include <memory>
#include <string>

#include "backend/ascend/acl/acl_library.h"
#include "backend/ascend/kernels.h"

namespace latte::ascend {

/// The kernels of the device binary. It belongs to the context that is current when it is loaded.
class KernelBinary final : public Kernels {
 public:
  /// The path in LATTE_ASCEND_KERNEL_BINARY ('off': none), else latte_ascend_kernels.o beside the
  /// plugin. Empty if there is no such file.
  static std::string find(const std::string& plugin_path);
  /// Throws ERR_VALUE if LATTE_ASCEND_KERNEL_BINARY is the path of a file that does not exist.
  static void check_setting();
  /// Loads the binary into the current context. Throws ERR_DEVICE if this CANN cannot.
  static std::unique_ptr<const KernelBinary> load(const AclFunctions& acl, const std::string& path);

  explicit KernelBinary(const AclFunctions& acl) : acl_(acl) {}
  ~KernelBinary() override;

  int timestep_projection(aclrtStream stream, const latte_timestep_tiling& tiling,
                          const void* timesteps, const void* frequencies,
                          void* output) const override;
  int patchify(aclrtStream stream, const latte_patchify_tiling& tiling, const void* latent,
               void* patches) const override;
  int patch_projection(aclrtStream stream, const latte_fused_tiling& tiling, const void* latent,
                       const void* operand, void* output) const override;

 private:
  aclrtFuncHandle function(const char* name) const;

  const AclFunctions& acl_;
  aclrtBinHandle binary_ = nullptr;
  aclrtFuncHandle timestep_projection_ = nullptr, patchify_ = nullptr, patch_projection_ = nullptr;
};

}  // namespace latte::ascend
