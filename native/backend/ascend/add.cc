// add: a broadcasting sum by aclnnAdd.
#include "backend/ascend/queue.h"

namespace latte::ascend {

void AscendQueue::add_views(const OperandView& a, const OperandView& b, const OperandView& out) {
  run({"aclnnAdd",
       acl_.aclnnAdd,
       /*repeatable=*/true,
       {a, b},
       {out},
       [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
         return acl_.aclnnAddGetWorkspaceSize(t[0], t[1], resources_.executors.one(), t[2], bytes,
                                              executor);
       }});
}

void AscendQueue::add(const TensorView& a, const TensorView& b, const TensorView& out) {
  if (out.size() == 0) return;
  add_views(OperandView::dense(a.dtype, a.shape, a.data),
            OperandView::dense(b.dtype, b.shape, b.data),
            OperandView::dense(out.dtype, out.shape, out.data));
}

}  // namespace latte::ascend
