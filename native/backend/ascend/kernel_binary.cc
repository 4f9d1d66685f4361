#include "backend/ascend/kernel_binary.h"

#include <unistd.h>

#include <filesystem>
#include <initializer_list>

#include "backend/ascend/acl/acl_call.h"
#include "core/setting.h"

namespace latte::ascend {

namespace {

constexpr const char* kBinaryVariable = "LATTE_ASCEND_KERNEL_BINARY";
constexpr const char* kBinaryName = "latte_ascend_kernels.o";

/// One parameter of a kernel: a pointer, or its tiling by value.
struct Parameter {
  const void* value;
  size_t bytes;
};

/// Launches `blocks` blocks of a kernel. The runtime has copied the arguments when the launch
/// returns. Their handle needs no end: the next aclrtKernelArgsInit of the function reuses it.
int launch(const AclFunctions& acl, aclrtFuncHandle function, aclrtStream stream, uint32_t blocks,
           std::initializer_list<Parameter> parameters) {
  aclrtArgsHandle arguments = nullptr;
  int status = acl.aclrtKernelArgsInit(function, &arguments);
  for (const Parameter& parameter : parameters) {
    if (status != ACL_SUCCESS) return status;
    aclrtParamHandle handle = nullptr;
    status = acl.aclrtKernelArgsAppend(arguments, const_cast<void*>(parameter.value),
                                       parameter.bytes, &handle);
  }
  if (status == ACL_SUCCESS) status = acl.aclrtKernelArgsFinalize(arguments);
  if (status != ACL_SUCCESS) return status;
  return acl.aclrtLaunchKernelWithConfig(function, blocks, stream, nullptr, arguments, nullptr);
}

template <class T>
Parameter parameter(const T& value) {
  return {&value, sizeof value};
}

}  // namespace

void KernelBinary::check_setting() {
  const auto given = setting(kBinaryVariable);
  if (!given || given == "off") return;
  if (access(given->c_str(), R_OK) != 0) refuse_setting(kBinaryVariable, "off or a file", *given);
}

std::string KernelBinary::find(const std::string& plugin_path) {
  if (const auto given = setting(kBinaryVariable)) return given == "off" ? "" : *given;
  const auto path = std::filesystem::path(plugin_path).replace_filename(kBinaryName);
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) ? path.string() : "";
}

std::unique_ptr<const KernelBinary> KernelBinary::load(const AclFunctions& acl,
                                                       const std::string& path) {
  if (acl.aclrtBinaryLoadFromFile == nullptr || acl.aclrtBinaryGetFunction == nullptr ||
      acl.aclrtBinaryUnLoad == nullptr || acl.aclrtKernelArgsInit == nullptr ||
      acl.aclrtKernelArgsAppend == nullptr || acl.aclrtKernelArgsFinalize == nullptr ||
      acl.aclrtLaunchKernelWithConfig == nullptr) {
    fail(ErrorCode::kDevice, "this CANN lacks functions that launch a device binary");
  }
  auto kernels = std::make_unique<KernelBinary>(acl);
  check(acl, "aclrtBinaryLoadFromFile",
        acl.aclrtBinaryLoadFromFile(path.c_str(), nullptr, &kernels->binary_));
  kernels->timestep_projection_ = kernels->function("latte_timestep_projection");
  kernels->patchify_ = kernels->function("latte_patchify");
  kernels->patch_projection_ = kernels->function("latte_patch_projection");
  return kernels;
}

KernelBinary::~KernelBinary() {
  if (binary_ != nullptr) acl_.aclrtBinaryUnLoad(binary_);
}

aclrtFuncHandle KernelBinary::function(const char* name) const {
  aclrtFuncHandle found = nullptr;
  check(acl_, "aclrtBinaryGetFunction", acl_.aclrtBinaryGetFunction(binary_, name, &found));
  return found;
}

int KernelBinary::timestep_projection(aclrtStream stream, const latte_timestep_tiling& tiling,
                                      const void* timesteps, const void* frequencies,
                                      void* output) const {
  return launch(
      acl_, timestep_projection_, stream, tiling.blocks,
      {parameter(timesteps), parameter(frequencies), parameter(output), parameter(tiling)});
}

int KernelBinary::patchify(aclrtStream stream, const latte_patchify_tiling& tiling,
                           const void* latent, void* patches) const {
  return launch(acl_, patchify_, stream, tiling.blocks,
                {parameter(latent), parameter(patches), parameter(tiling)});
}

int KernelBinary::patch_projection(aclrtStream stream, const latte_fused_tiling& tiling,
                                   const void* latent, const void* operand, void* output) const {
  return launch(acl_, patch_projection_, stream, tiling.blocks,
                {parameter(latent), parameter(operand), parameter(output), parameter(tiling)});
}

}  // namespace latte::ascend
