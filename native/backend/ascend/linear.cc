// linear by aclnn operations: a matrix product with its bias, an activation, and a strided copy or
// sum into the output.
#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// CANN's cubeMathType: float32 products stay float32. 1 and 3 would round the operands to HF32 on
/// the 910B (docs/ascend-operations.md).
constexpr int8_t kKeepDtype = 0;

size_t bytes_of(int64_t elements, DType dtype) {
  return static_cast<size_t>(elements) * item_size(dtype);
}

}  // namespace

void AscendLinearWeights::unpack(void* weight_out, void* bias_out) const {
  device->copy_out(weight_out, weight->data(), bytes_of(out_features * in_features, dtype));
  if (has_bias) device->copy_out(bias_out, bias->data(), bytes_of(out_features, dtype));
}

void AscendQueue::product(const void* x, int64_t rows, const AscendLinearWeights& weights,
                          void* out) {
  const int64_t in = weights.in_features, features = weights.out_features;
  const OperandView input = OperandView::dense(weights.dtype, {rows, in}, x);
  // Wᵀ is a strided view of W, which the product reads without a copy.
  OperandView transposed =
      OperandView::dense(weights.dtype, {in, features}, weights.weight->data());
  transposed.strides = {1, in};
  const OperandView output = OperandView::dense(weights.dtype, {rows, features}, out);
  if (!weights.has_bias) {
    run({"aclnnMm",
         acl_.aclnnMm,
         /*repeatable=*/true,
         {input, transposed},
         {output},
         [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
           return acl_.aclnnMmGetWorkspaceSize(t[0], t[1], t[2], kKeepDtype, bytes, executor);
         }});
    return;
  }
  const OperandView bias = OperandView::dense(weights.dtype, {features}, weights.bias->data());
  run({"aclnnAddmm",
       acl_.aclnnAddmm,
       /*repeatable=*/true,
       {bias, input, transposed},
       {output},
       [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
         const aclScalar* one = resources_.executors.one();
         return acl_.aclnnAddmmGetWorkspaceSize(t[0], t[1], t[2], one, one, t[3], kKeepDtype, bytes,
                                                executor);
       }});
}

void AscendQueue::activate(Activation activation, const OperandView& x, const OperandView& y) {
  using Make = aclnnStatus (*)(const aclTensor*, aclTensor*, uint64_t*, aclOpExecutor**);
  const auto unary = [&](const char* name, AclnnRun launch, Make make) {
    run({name,
         launch,
         /*repeatable=*/true,
         {x},
         {y},
         [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
           return make(t[0], t[1], bytes, executor);
         }});
  };
  const auto gelu = [&](int64_t approximate) {
    OperationCall call{"aclnnGeluV2",
                       acl_.aclnnGeluV2,
                       /*repeatable=*/true,
                       {x},
                       {y},
                       [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
                         return acl_.aclnnGeluV2GetWorkspaceSize(t[0], approximate, t[1], bytes,
                                                                 executor);
                       }};
    call.attribute = approximate;
    run(call);
  };
  switch (activation) {
    case Activation::kSilu:
      return unary("aclnnSilu", acl_.aclnnSilu, acl_.aclnnSiluGetWorkspaceSize);
    case Activation::kMish:
      return unary("aclnnMish", acl_.aclnnMish, acl_.aclnnMishGetWorkspaceSize);
    case Activation::kGelu:
      return gelu(0);
    case Activation::kGeluTanh:
      return gelu(1);
    case Activation::kRelu:
      return run({"aclnnRelu",
                  acl_.aclnnRelu,
                  /*repeatable=*/true,
                  {x},
                  {y},
                  [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
                    return acl_.aclnnReluGetWorkspaceSize(t[0], t[1], bytes, executor);
                  }});
    case Activation::kNone:
      return copy_view(x, y);
  }
}

void AscendQueue::linear(const LinearArgs& args) {
  if (args.rows() == 0) return;
  const auto& weights = static_cast<const AscendLinearWeights&>(*args.weights);
  const DType dtype = weights.dtype;
  const int64_t rows = args.rows(), in = weights.in_features, features = weights.out_features;
  const LinearOutput& output = args.output;

  const void* x = args.input.data;
  if (args.input_activation != Activation::kNone) {
    void* activated = scratch(bytes_of(rows * in, dtype));
    activate(args.input_activation, OperandView::dense(dtype, {rows, in}, x),
             OperandView::dense(dtype, {rows, in}, activated));
    x = activated;
  }
  const bool dense = output.inner_rows == 1 && output.outer_stride == features;
  const bool direct = dense && !output.accumulate;
  const bool activated = args.activation != Activation::kNone;

  void* y = direct && !activated ? output.data : scratch(bytes_of(rows * features, dtype));
  product(x, rows, weights, y);
  if (activated) {
    void* to = direct ? output.data : scratch(bytes_of(rows * features, dtype));
    activate(args.activation, OperandView::dense(dtype, {rows, features}, y),
             OperandView::dense(dtype, {rows, features}, to));
    y = to;
  }
  if (direct) return;

  const int64_t inner = output.inner_rows;
  const OperandView result = OperandView::dense(dtype, {rows / inner, inner, features}, y);
  OperandView target = result;
  target.data = output.data;
  target.strides = {output.outer_stride, inner == 1 ? features : output.inner_stride, 1};
  if (output.accumulate) {
    add_views(target, result, target);
  } else {
    copy_view(result, target);
  }
}

}  // namespace latte::ascend
