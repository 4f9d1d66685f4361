// Capturing launches, so that they can be replayed as one submission.
#pragma once

#include <functional>

#include "backend/ascend/acl/acl_handle.h"

namespace latte::ascend {

/// Calls launch() while the stream is being captured: its launches are recorded, and not run. It
/// may make no other calls of ACL. The capture ends in any case. Throws what launch() throws, or
/// ERR_DEVICE.
GraphHandle capture_launches(const AclFunctions& acl, aclrtStream stream,
                             const std::function<void()>& launch);

}  // namespace latte::ascend
