// A kernels plugin of another version, which the addon must refuse.
#include "backend/ascend/kernels/kernel_plugin_abi.h"

#define TWIN_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))

TWIN_PLUGIN_EXPORT uint32_t latte_kernels_abi_version(void) { return 1000; }

TWIN_PLUGIN_EXPORT const latte_kernels* latte_kernels_open(uint32_t abi_version) {
  static const latte_kernels kernels = {1000, sizeof(latte_kernels), nullptr, nullptr, nullptr};
  return abi_version == 1000 ? &kernels : nullptr;
}
