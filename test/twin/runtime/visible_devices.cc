// ASCEND_RT_VISIBLE_DEVICES: the process sees the devices of the list, numbered from 0.
#include "runtime/visible_devices.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "runtime/devices.h"

namespace latte::twin {

namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 9 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string wrong(const std::string& list, const std::string& why) {
  return "The value " + list +
         " for environment variable ASCEND_RT_VISIBLE_DEVICES is invalid: " + why;
}

/// hicann/runtime 681ef76, src/runtime/core/src/runtime.cc, GetVisibleDevices(), and
/// docs/zh/env_vars/ASCEND_RT_VISIBLE_DEVICES.md: the list ends, without an error, at the first
/// entry that is no number (a space makes it none) or no device. Numbers that are repeated or do
/// not ascend, and a list without a device, make aclrtGetDeviceCount fail (api_impl.cc).
VisibleDevices read(int host) {
  VisibleDevices visible;
  const char* text = std::getenv("ASCEND_RT_VISIBLE_DEVICES");
  if (text == nullptr) {
    for (int device = 0; device < host; ++device) visible.physical.push_back(device);
    return visible;
  }
  std::istringstream list(text);
  for (std::string entry; std::getline(list, entry, ',');) {
    if (!is_number(entry)) break;
    const int device = std::atoi(entry.c_str());
    if (device >= host) break;
    if (!visible.physical.empty() && device <= visible.physical.back()) {
      const bool repeated = std::find(visible.physical.begin(), visible.physical.end(), device) !=
                            visible.physical.end();
      return {{}, wrong(text, repeated ? "cannot be duplicated" : "must be in ascending order")};
    }
    visible.physical.push_back(device);
  }
  if (visible.physical.empty()) {
    visible.error = wrong(text, "expected numbers in [0, " + std::to_string(host) + ")");
  }
  return visible;
}

}  // namespace

const VisibleDevices& visible_devices() {
  static const VisibleDevices visible = [] {
    return read(
        static_cast<int>(std::clamp<int64_t>(environment_number("LATTE_TWIN_DEVICES", 2), 0, 8)));
  }();
  return visible;
}

int device_count() { return static_cast<int>(visible_devices().physical.size()); }

void wait_for_opening(int device) {
  static std::atomic<uint32_t> opened{0};
  const uint32_t bit = uint32_t{1} << device;
  if ((opened.fetch_or(bit) & bit) != 0) return;
  count(format("open device %d of the host", visible_devices().physical[device]));
  // No document gives the time that a device takes to open, so the default is no wait.
  const int64_t milliseconds = environment_number("LATTE_TWIN_OPEN_MS", 0);
  if (milliseconds > 0) std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

}  // namespace latte::twin
