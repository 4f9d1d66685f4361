// What the twin reports: violations, the message of the last error, counters, injected faults.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/exports.h"
#include "twin_api.h"

namespace latte::twin {

using namespace latte::ascend;

// Codes that the addon does not use; acl/error_codes/rt_error_codes.h and acl_base.h of 8.1.RC1.
constexpr aclError ACL_ERROR_UNINITIALIZE = 100001;
constexpr aclError ACL_ERROR_REPEAT_FINALIZE = 100037;
constexpr aclError ACL_ERROR_RT_INVALID_DEVICEID = 107001;
constexpr aclError ACL_ERROR_RT_NO_DEVICE = 207004;
constexpr aclError ACL_ERROR_RT_AICORE_EXCEPTION = 507015;
// aclnn's own, as its documentation lists them ("aclnn return codes", 8.1.RC1).
constexpr aclnnStatus ACLNN_ERR_PARAM_NULLPTR = 161001;
constexpr aclnnStatus ACLNN_ERR_PARAM_INVALID = 161002;
constexpr aclnnStatus ACLNN_ERR_RUNTIME_ERROR = 361001;
constexpr aclnnStatus ACLNN_ERR_INNER_NULLPTR = 561103;

// The simulated libraries call these functions of one another.
#pragma GCC visibility push(default)

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

/// Keeps the message of a failure for this thread's aclGetRecentErrMsg. Returns its code.
int failure(int code, const std::string& words);

/// Like failure(), for one that a correct program never causes: reports a violation, too.
int misuse(int code, const std::string& words);

/// Adds to the counter of a name: 'copies', 'launch aclnnMm' …
void count(const std::string& name, int64_t by = 1);

/// A fault to inject into the nth call from now on of `call`: a function's name, or one of the
/// groups 'launch', 'copy', 'synchronise', 'allocate'.
struct Fault {
  std::string call;
  int64_t nth = 1;
  int code = 0;
  int device = -1;            // -1: any
  bool asynchronous = false;  // the call succeeds, and what it queued fails
};

/// The result of one call.
struct Injected {
  int code = 0;
  bool asynchronous = false;
};

/// Returns the fault that is due for this call; its code is 0 if none is. `group` may be null.
Injected take_fault(const char* function, const char* group, int device);
void inject_fault(Fault fault);
/// Removes all faults. Returns how many had not occurred.
int clear_faults();

int64_t environment_number(const char* name, int64_t otherwise);

#pragma GCC visibility pop

}  // namespace latte::twin
