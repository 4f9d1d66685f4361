// Which devices of the host a process sees.
#pragma once

#include <string>
#include <vector>

namespace latte::twin {

struct VisibleDevices {
  std::vector<int> physical;  // the host's numbers, by the process's numbers
  std::string error;          // why aclrtGetDeviceCount fails; empty if it does not
};

const VisibleDevices& visible_devices();

/// Takes the time that a device takes to open: LATTE_TWIN_OPEN_MS, once for each device.
void wait_for_opening(int device);

}  // namespace latte::twin
