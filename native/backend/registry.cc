#include "backend/registry.h"

#include "backend/cpu/device.h"

namespace latte {

Device& open_device(std::string_view name) {
  if (name == "cpu") return cpu::device();
  fail(ErrorCode::kDeviceUnavailable, "device '", name, "' is not available in this build");
}

Tensor allocate_on_host(const TensorSpec& spec) { return allocate(cpu::device(), spec); }

std::vector<DeviceInfo> list_devices() { return {cpu::device().info()}; }

}  // namespace latte
