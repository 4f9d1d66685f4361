// layer_norm: aclnnLayerNorm into scratch memory, and a copy back, because the operation does not
// work in place.
#include <cstring>

#include "backend/ascend/queue.h"

namespace latte::ascend {

void AscendQueue::normalise(const LayerNormArgs& args, void* out) {
  const TensorView& x = args.x;
  const int64_t dim = x.shape.back(), rows = x.size() / dim;
  // Without a weight or bias CANN would fill memory with ones or zeros at each run, so they are
  // constants here.
  const auto parameter = [&](const std::optional<TensorView>& given, float otherwise) {
    const void* data =
        given ? given->data : constant(std::vector<float>(static_cast<size_t>(dim), otherwise));
    return OperandView::dense(DType::kFloat32, {dim}, data);
  };
  const double epsilon = args.epsilon;
  OperationCall call{"aclnnLayerNorm",
                     acl_.aclnnLayerNorm,
                     /*repeatable=*/true,
                     {OperandView::dense(x.dtype, {rows, dim}, x.data), parameter(args.weight, 1),
                      parameter(args.bias, 0)},
                     {OperandView::dense(x.dtype, {rows, dim}, out)},
                     [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
                       const IntArrayHandle normalized = create_int_array(acl_, dim);
                       return acl_.aclnnLayerNormGetWorkspaceSize(t[0], normalized.get(), t[1],
                                                                  t[2], epsilon, t[3], nullptr,
                                                                  nullptr, bytes, executor);
                     }};
  std::memcpy(&call.attribute, &epsilon, sizeof epsilon);
  run(call);
}

void AscendQueue::layer_norm(const LayerNormArgs& args) {
  if (args.x.size() == 0) return;
  const TensorView result = scratch_tensor(args.x);
  normalise(args, result.data);
  copy_on_device(result, args.x);
}

}  // namespace latte::ascend
