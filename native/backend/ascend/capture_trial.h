// Whether launches can be captured and replayed on this device: a small product, and a kernel of
// ours where there are some, computed both ways.
#pragma once

#include <cstdint>
#include <string>

#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

/// Why captured launches cannot be used; empty if a replay computes what the launches do. On the
/// device's thread, on a context of its own. `binary`: the path of the kernels' device binary, or
/// empty. A replay that takes more than `milliseconds` is left to itself.
std::string try_capture(const AclFunctions& acl, DeviceThread& thread, const std::string& binary,
                        int32_t milliseconds);

}  // namespace latte::ascend
