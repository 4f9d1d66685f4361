// CANN's libraries, opened at run time: the addon links none of them and works without them.
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

/// What came of opening the libraries.
struct AclLoad {
  bool complete = false;
  std::string path;            // of the runtime library, or of the one that could not be had
  std::string loader_message;  // the loader's, or which symbol is missing
  bool absent = false;         // there is no such file, rather than one that does not serve
};

/// Opens libacl_rt or libascendcl, libnnopbase, and the operations' libraries (the split ones or
/// the whole one, never both), from ASCEND_HOME_PATH's lib64 or wherever the loader finds them.
AclLoad load_acl(AclFunctions& acl);

}  // namespace latte::ascend
