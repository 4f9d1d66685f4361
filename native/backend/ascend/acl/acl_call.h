// Every call into CANN is checked here: a failure becomes ERR_DEVICE with the operation's name, the
// code, and the runtime's own words, which it keeps for the thread that failed.
#pragma once

#include <string>

#include "backend/ascend/acl/acl_library.h"
#include "core/error.h"

namespace latte::ascend {

/// The failure of `operation`. To be called on the thread that failed, at once.
inline Error device_error(const AclFunctions& acl, const char* operation, int status) {
  const char* words = acl.aclGetRecentErrMsg();
  std::string message = std::string(operation) + " failed with ACL error " + std::to_string(status);
  if (words != nullptr && *words != '\0') {
    message += ": ";
    message += words;
    while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) {
      message.pop_back();
    }
  }
  if (status == ACLNN_ERR_INNER_FIND_KERNEL_ERROR ||
      status == ACLNN_ERR_INNER_OPP_KERNEL_PKG_NOT_FOUND) {
    // Not a fault of the arguments (docs/ascend.md, "When something fails").
    message += " (install the package with the operators' kernels for this chip)";
  }
  return {message, operation, status};
}

inline void check(const AclFunctions& acl, const char* operation, int status) {
  if (status != ACL_SUCCESS) throw device_error(acl, operation, status);
}

}  // namespace latte::ascend

/// Calls acl.<function>(arguments...) and checks what it returns.
#define LATTE_ACL(acl, function, ...) \
  ::latte::ascend::check(acl, #function, (acl).function(__VA_ARGS__))
