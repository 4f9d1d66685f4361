#include "backend/registry.h"

#include "backend/cpu/device.h"

namespace latte {

Device& open_device(std::string_view name) {
  if (name == "cpu") return cpu::device();
  fail(ErrorCode::kDeviceUnavailable, "device '", name,
       "' is not available: ", npu_diagnostics().reason);
}

Tensor allocate_on_host(const TensorSpec& spec) { return allocate(cpu::device(), spec); }

std::vector<DeviceInfo> list_devices() { return {cpu::device().info()}; }

NpuDiagnostics npu_diagnostics() {
  NpuDiagnostics diagnostics;
  diagnostics.reason = "this release has no Ascend backend: its layers run on the cpu only";
  return diagnostics;
}

void environment_opened() {}

void environment_closed(bool) {}

}  // namespace latte
