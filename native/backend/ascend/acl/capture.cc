#include "backend/ascend/acl/capture.h"

#include <optional>

namespace latte::ascend {

GraphHandle capture_launches(const AclFunctions& acl, aclrtStream stream,
                             const std::function<void()>& launch) {
  LATTE_ACL(acl, aclmdlRICaptureBegin, stream, ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL);
  std::optional<Error> error;
  try {
    launch();
  } catch (...) {
    error = current_error();
  }
  // The capture must end in any case, or the stream would run nothing any more.
  aclmdlRI made = nullptr;
  const aclError status = acl.aclmdlRICaptureEnd(stream, &made);
  GraphHandle graph;
  if (status == ACL_SUCCESS) graph = GraphHandle(acl, made);
  if (error) {
    if (status != ACL_SUCCESS) acl.aclGetRecentErrMsg();  // clears the message of this failure
    throw Error(*error);
  }
  check(acl, "aclmdlRICaptureEnd", status);
  return graph;
}

}  // namespace latte::ascend
