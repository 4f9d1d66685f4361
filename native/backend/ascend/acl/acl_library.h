// Opens CANN's libraries at run time. The addon does not link them and works without them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/ascend/acl/acl_api.h"

namespace latte::ascend {

/// The functions of CANN, as members with CANN's names. An optional one may be null.
struct AclFunctions {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration, not an expression
#define LATTE_MEMBER(name, result, parameters) result(*name) parameters = nullptr;
  LATTE_ACL_RUNTIME(LATTE_MEMBER)
  LATTE_ACL_RUNTIME_OPTIONAL(LATTE_MEMBER)
  LATTE_ACL_META(LATTE_MEMBER)
#undef LATTE_MEMBER
#define LATTE_MEMBER(name, ...)                                               \
  aclnnStatus (*name##GetWorkspaceSize)(__VA_ARGS__, uint64_t * bytes,        \
                                        aclOpExecutor * *executor) = nullptr; \
  AclnnRun name = nullptr;
  LATTE_ACLNN_OPERATIONS(LATTE_MEMBER)
#undef LATTE_MEMBER
};

/// The result of opening the libraries.
struct AclLoad {
  bool complete = false;       // whether all functions were found
  std::string path;            // of the runtime library, or of the library that failed
  std::string loader_message;  // the loader's message, or the symbol that is missing
  bool absent = false;         // whether the library that failed does not exist
};

/// Opens libacl_rt or libascendcl, libnnopbase, and the operations' libraries: the split ones or
/// the whole one, never both. Looks in ASCEND_HOME_PATH's lib64 first, then where the loader looks,
/// then in CANN's default folders.
AclLoad load_acl(AclFunctions& acl);

}  // namespace latte::ascend
