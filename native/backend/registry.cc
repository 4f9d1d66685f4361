#include "backend/registry.h"

#include <atomic>
#include <charconv>

#include "backend/ascend/runtime.h"
#include "backend/cpu/device.h"
#include "backend/cpu/simd/targets.h"
#include "system/thread_pool.h"

namespace latte {

namespace {

std::atomic<int> environments{0};

}  // namespace

Device& open_device(std::string_view name) {
  if (name == "cpu") return cpu::device();
  constexpr std::string_view kNpu = "npu:";
  int index = -1;
  if (name.starts_with(kNpu)) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kNpu.size(), end, index);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
      return ascend::open_device(index, cpu::device());
    }
  }
  fail(ErrorCode::kDeviceUnavailable, "there is no device '", name, "'");
}

void check_settings() {
  cpu::target();
  system::threads_of_process();
  ascend::check_settings();
}

Tensor allocate_on_host(const TensorSpec& spec) { return allocate(cpu::device(), spec); }

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> infos = {cpu::device().info()};
  for (DeviceInfo& info : ascend::list_devices()) infos.push_back(std::move(info));
  return infos;
}

NpuDiagnostics npu_diagnostics() { return ascend::diagnostics(); }

void environment_opened() { ++environments; }

void environment_closed(bool main_thread) {
  // While the main thread's environment lives, further workers may begin; after its end none can.
  // If only workers used the library, the operating system cleans up when the process ends.
  if (--environments == 0 && main_thread) ascend::shut_down();
}

}  // namespace latte
