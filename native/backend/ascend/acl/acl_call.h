// Checks of calls into CANN. A failure becomes ERR_DEVICE with the function's name, its code, and
// CANN's own message, which CANN keeps for the thread that failed.
#pragma once

#include <string>

#include "backend/ascend/acl/acl_library.h"
#include "core/error.h"

namespace latte::ascend {

/// The error for a failed call of `operation`. To be called on the thread of that call, before any
/// other call into CANN, which could replace the message.
inline Error device_error(const AclFunctions& acl, const char* operation, int status) {
  const char* details = acl.aclGetRecentErrMsg();
  std::string message = std::string(operation) + " failed with ACL error " + std::to_string(status);
  if (details != nullptr && *details != '\0') {
    message += ": ";
    message += details;
    while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
      message.pop_back();
    }
  }
  if (status == ACLNN_ERR_INNER_FIND_KERNEL_ERROR ||
      status == ACLNN_ERR_INNER_OPP_KERNEL_PKG_NOT_FOUND) {
    // Nothing is wrong with the arguments (docs/ascend.md, "When something fails").
    message += " (install the package with the operators' kernels for this chip)";
  }
  return {message, operation, status};
}

/// Throws device_error() unless `status` is ACL_SUCCESS.
inline void check(const AclFunctions& acl, const char* operation, int status) {
  if (status != ACL_SUCCESS) throw device_error(acl, operation, status);
}

}  // namespace latte::ascend

/// Calls acl.<function>(arguments...) and throws ERR_DEVICE if it fails.
#define LATTE_ACL(acl, function, ...) \
  ::latte::ascend::check(acl, #function, (acl).function(__VA_ARGS__))
