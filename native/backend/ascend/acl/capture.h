// Captures what is launched on a stream, to be replayed as one submission.
#pragma once

#include <functional>

#include "backend/ascend/acl/acl_handle.h"

namespace latte::ascend {

/// Calls `launch` while the stream is captured: its launches are kept and not run, and nothing but
/// launches may be asked of ACL there. Ends the capture in any case. Throws what `launch` throws,
/// or the failure of ACL.
GraphHandle capture_launches(const AclFunctions& acl, aclrtStream stream,
                             const std::function<void()>& launch);

}  // namespace latte::ascend
