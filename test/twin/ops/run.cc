// The second function of every operation.
#include "nnop/tensors.h"

namespace latte::ascend {

extern "C" {
#define TWIN_RUN(name, ...)                                                                        \
  aclnnStatus name(void* workspace, uint64_t bytes, aclOpExecutor* executor, aclrtStream stream) { \
    return latte::twin::run_executor(#name, workspace, bytes, executor, stream);                   \
  }
LATTE_ACLNN_OPERATIONS(TWIN_RUN)
#undef TWIN_RUN
}

}  // namespace latte::ascend
