// Everything that the three simulated libraries export, declared from the addon's own tables: a
// definition that differs from the addon's prototype does not compile.
#pragma once

#include "backend/ascend/acl/acl_api.h"

#define TWIN_EXPORT __attribute__((visibility("default")))

namespace latte::ascend {

extern "C" {
#define TWIN_DECLARE(name, result, parameters) TWIN_EXPORT result name parameters;
LATTE_ACL_RUNTIME(TWIN_DECLARE)
LATTE_ACL_RUNTIME_OPTIONAL(TWIN_DECLARE)
LATTE_ACL_META(TWIN_DECLARE)
#undef TWIN_DECLARE

#define TWIN_DECLARE(name, ...)                                                          \
  TWIN_EXPORT aclnnStatus name##GetWorkspaceSize(__VA_ARGS__, uint64_t* bytes,           \
                                                 aclOpExecutor** executor);              \
  TWIN_EXPORT aclnnStatus name(void* workspace, uint64_t bytes, aclOpExecutor* executor, \
                               aclrtStream stream);
LATTE_ACLNN_OPERATIONS(TWIN_DECLARE)
#undef TWIN_DECLARE
}

}  // namespace latte::ascend
