// A trial of whether launches can be captured and replayed on this device: a small product, and one
// of our kernels if there are some, are launched and replayed, and the results compared.
#pragma once

#include <cstdint>
#include <string>

#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

/// Why captured launches cannot be used; empty if a replay computes the same as launches. Called on
/// the device's thread; uses a context of its own. `binary` is the path of the device binary, or
/// empty. If a replay takes more than `milliseconds`, its context is abandoned.
std::string try_capture(const AclFunctions& acl, DeviceThread& thread, const std::string& binary,
                        int32_t milliseconds);

}  // namespace latte::ascend
