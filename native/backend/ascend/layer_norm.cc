// layer_norm: aclnnLayerNorm, in scratch memory and back.
#include <cstring>

#include "backend/ascend/queue.h"

namespace latte::ascend {

void AscendQueue::normalise(const void* x, int64_t rows, int64_t dim, DType dtype, double epsilon,
                            void* out) {
  // Without these CANN would fill memory with ones and zeros anew at each run.
  const std::vector<float> ones(static_cast<size_t>(dim), 1), zeros(static_cast<size_t>(dim), 0);
  OperationCall call{"aclnnLayerNorm",
                     acl_.aclnnLayerNorm,
                     true,
                     {OperandView::dense(dtype, {rows, dim}, x),
                      OperandView::dense(DType::kFloat32, {dim}, constant(ones)),
                      OperandView::dense(DType::kFloat32, {dim}, constant(zeros))},
                     {OperandView::dense(dtype, {rows, dim}, out)},
                     [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
                       const IntArrayHandle normalized = create_int_array(acl_, dim);
                       return acl_.aclnnLayerNormGetWorkspaceSize(t[0], normalized.get(), t[1],
                                                                  t[2], epsilon, t[3], nullptr,
                                                                  nullptr, bytes, executor);
                     }};
  std::memcpy(&call.attribute, &epsilon, sizeof epsilon);
  run(call);
}

void AscendQueue::layer_norm(const TensorView& x, double epsilon) {
  if (x.size() == 0) return;
  const int64_t dim = x.shape.back();
  void* result = scratch(x.bytes());
  normalise(x.data, x.size() / dim, dim, x.dtype, epsilon, result);
  copy_on_device({x, result}, x);
}

}  // namespace latte::ascend
