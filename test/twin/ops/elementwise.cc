// aclnnAdd, aclnnInplaceAdd, aclnnMul, aclnnMuls, aclnnSin, aclnnCos, aclnnSilu, aclnnGeluV2,
// aclnnRelu and aclnnMish: computed in float32, rounded once.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "ops/operation.h"
#include "runtime/devices.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

using Binary = std::function<float(float, float)>;

/// Broadcasts; "the data type of out must be convertible from the deduced one", which any floating
/// dtype is from any other (aclnnAdd, aclnnMul and conversion_relationship.md, M).
void describe_binary(Call& call, const char* kernel, const View& a, const View& b, const View& out,
                     const Binary& function) {
  require_float(a, "self");
  require_float(b, "other");
  require_float(out, "out");
  const BroadcastDims dims = broadcast_dims(a.dims, b.dims);
  if (!dims.ok || dims.dims != out.dims) {
    refuse(describe(a) + " and " + describe(b) + " do not broadcast to " + describe(out));
  }
  uint64_t& workspace = call.executor().workspace_bytes;
  workspace = gather_bytes({&a, &b, &out});
  // Operands are converted to the deduced dtype first; the result is converted to out's dtype last.
  const aclDataType dtype = deduced(a.dtype, b.dtype);
  for (const View* view : {&a, &b, &out}) {
    if (view->dtype != dtype) workspace += static_cast<uint64_t>(view->elements()) * 4;
  }
  // A half type and FLOAT make one kernel of mixed dtypes that writes FLOAT, and a Cast where out
  // is not FLOAT; two half types are cast first ("isAddMixDtypeSupport",
  // math/add/op_api/aclnn_add.cpp and aclnn_mul.cpp, M).
  KernelPlan& kernels = call.kernels();
  Place left_place = kernels.contiguous(kernels.input(0));
  Place right_place = kernels.contiguous(kernels.input(1));
  const bool mixed = a.dtype != b.dtype && (a.dtype == ACL_FLOAT || b.dtype == ACL_FLOAT);
  if (!mixed) {
    left_place = kernels.cast(left_place, dtype);
    right_place = kernels.cast(right_place, dtype);
  }
  const Place result = kernels.run(kernel, {left_place, right_place}, out.elements(), dtype);
  kernels.view_copy(kernels.cast(result, out.dtype), kernels.output(0));
  call.executor().compute = [function](const auto& in, const auto& outs) {
    const auto& shape = outs[0].view.dims;
    std::vector<float> left = read_floats(broadcast_to(in[0], shape));
    const std::vector<float> right = read_floats(broadcast_to(in[1], shape));
    for (size_t i = 0; i < left.size(); ++i) left[i] = function(left[i], right[i]);
    write_floats(outs[0], left);
  };
}

Binary scaled_sum(double alpha) {
  return [alpha = static_cast<float>(alpha)](float a, float b) { return a + alpha * b; };
}

/// Describes an operation whose out has the same shape and dtype (aclnnSilu, aclnnGeluV2,
/// aclnnRelu, aclnnMish: N).
aclnnStatus unary(const char* operation, const aclTensor* self, const aclTensor* out,
                  uint64_t* bytes, aclOpExecutor** executor,
                  const std::function<float(float)>& function) {
  return first_call(operation, bytes, executor, [&](Call& call) {
    const View& x = call.input(self, "self");
    const View& y = call.output(out, "out");
    require_float(x, "self");
    require_same_dtype(x, y);
    require_same_dims(x, y);
    call.executor().workspace_bytes = gather_bytes({&x, &y});
    // Contiguous, the kernel of the operation's name, ViewCopy (each operation's op_api, M and N).
    KernelPlan& kernels = call.kernels();
    kernels.view_copy(kernels.run(operation + std::strlen("aclnn"),
                                  {kernels.contiguous(kernels.input(0))}, x.elements(), x.dtype),
                      kernels.output(0));
    call.executor().compute = [function](const auto& in, const auto& outs) {
      std::vector<float> values = read_floats(in[0]);
      for (float& value : values) value = function(value);
      write_floats(outs[0], values);
    };
  });
}

/// "|x| ≤ 10⁷; beyond it use the CPU" (aclnnSin, aclnnCos: M). For aclnnSin on the first generation
/// no range is documented, so that of 310P is taken, the narrowest of any model.
float checked_angle(const char* operation, float limit, float angle) {
  if (std::abs(angle) > limit) {
    latte_twin_violation("%s was given %g, beyond its range of %g", operation,
                         static_cast<double>(angle), static_cast<double>(limit));
    latte_twin_fail(ACLNN_ERR_PARAM_INVALID);
  }
  return angle;
}
constexpr float kLargestAngle = 1e7f;
constexpr float kLargestAngleOf310P = 65504.0f;

}  // namespace

extern "C" {

aclnnStatus aclnnAddGetWorkspaceSize(const aclTensor* self, const aclTensor* other,
                                     const aclScalar* alpha, aclTensor* out, uint64_t* bytes,
                                     aclOpExecutor** executor) {
  return first_call("aclnnAdd", bytes, executor, [&](Call& call) {
    const View& a = call.input(self, "self");
    const View& b = call.input(other, "other");
    const View& sum = call.output(out, "out");
    // The kernels of aclnnInplaceAdd (math/add/op_api, M).
    call.executor().may_be_in_place = true;
    describe_binary(call, "Add", a, b, sum, scaled_sum(call.scalar(alpha, "alpha")));
  });
}

aclnnStatus aclnnInplaceAddGetWorkspaceSize(const aclTensor* self, const aclTensor* other,
                                            const aclScalar* alpha, uint64_t* bytes,
                                            aclOpExecutor** executor) {
  return first_call("aclnnInplaceAdd", bytes, executor, [&](Call& call) {
    const View& a = call.input(self, "selfRef");
    const View& b = call.input(other, "other");
    const View& sum = call.output(self, "selfRef");
    call.executor().may_be_in_place = true;
    describe_binary(call, "Add", a, b, sum, scaled_sum(call.scalar(alpha, "alpha")));
  });
}

aclnnStatus aclnnMulGetWorkspaceSize(const aclTensor* self, const aclTensor* other, aclTensor* out,
                                     uint64_t* bytes, aclOpExecutor** executor) {
  return first_call("aclnnMul", bytes, executor, [&](Call& call) {
    const View& a = call.input(self, "self");
    const View& b = call.input(other, "other");
    const View& product = call.output(out, "out");
    describe_binary(call, "Mul", a, b, product, [](float x, float y) { return x * y; });
  });
}

aclnnStatus aclnnMulsGetWorkspaceSize(const aclTensor* self, const aclScalar* other, aclTensor* out,
                                      uint64_t* bytes, aclOpExecutor** executor) {
  double factor = 0;
  if (const auto scalar = scalars().peek(other)) factor = scalar->value;
  const aclnnStatus status =
      unary("aclnnMuls", self, out, bytes, executor,
            [factor = static_cast<float>(factor)](float x) { return x * factor; });
  if (status == ACL_SUCCESS && scalars().find(other, "aclnnMuls") == nullptr) {
    return ACLNN_ERR_PARAM_INVALID;
  }
  return status;
}

aclnnStatus aclnnSinGetWorkspaceSize(const aclTensor* self, aclTensor* out, uint64_t* bytes,
                                     aclOpExecutor** executor) {
  const float limit = is_first_generation() ? kLargestAngleOf310P : kLargestAngle;
  return unary("aclnnSin", self, out, bytes, executor,
               [limit](float x) { return std::sin(checked_angle("aclnnSin", limit, x)); });
}

aclnnStatus aclnnCosGetWorkspaceSize(const aclTensor* self, aclTensor* out, uint64_t* bytes,
                                     aclOpExecutor** executor) {
  return unary("aclnnCos", self, out, bytes, executor,
               [](float x) { return std::cos(checked_angle("aclnnCos", kLargestAngle, x)); });
}

aclnnStatus aclnnSiluGetWorkspaceSize(const aclTensor* self, aclTensor* out, uint64_t* bytes,
                                      aclOpExecutor** executor) {
  return unary("aclnnSilu", self, out, bytes, executor,
               [](float x) { return x / (1.0f + std::exp(-x)); });
}

aclnnStatus aclnnGeluV2GetWorkspaceSize(const aclTensor* self, int64_t approximate, aclTensor* out,
                                        uint64_t* bytes, aclOpExecutor** executor) {
  // "0: erf, 1: tanh" (aclnnGeluV2, N).
  if (approximate != 0 && approximate != 1) {
    return misuse(ACLNN_ERR_PARAM_INVALID, "aclnnGeluV2: approximate is neither 0 nor 1");
  }
  const auto erf = [](float x) { return 0.5f * x * std::erfc(-x / std::numbers::sqrt2_v<float>); };
  // 0.5·(1 + tanh(u)) = 1 / (1 + exp(−2u)), which loses nothing where tanh comes close to −1.
  const auto tanh = [](float x) {
    const float u = std::sqrt(2.0f / std::numbers::pi_v<float>) * (x + 0.044715f * x * x * x);
    return x / (1.0f + std::exp(-2.0f * u));
  };
  if (approximate == 0) return unary("aclnnGeluV2", self, out, bytes, executor, erf);
  return unary("aclnnGeluV2", self, out, bytes, executor, tanh);
}

aclnnStatus aclnnReluGetWorkspaceSize(const aclTensor* self, const aclTensor* out, uint64_t* bytes,
                                      aclOpExecutor** executor) {
  return unary("aclnnRelu", self, out, bytes, executor,
               [](float x) { return std::isnan(x) ? x : std::max(x, 0.0f); });
}

aclnnStatus aclnnMishGetWorkspaceSize(const aclTensor* self, aclTensor* out, uint64_t* bytes,
                                      aclOpExecutor** executor) {
  return unary("aclnnMish", self, out, bytes, executor,
               [](float x) { return x * std::tanh(std::log1p(std::exp(x))); });
}
}

}  // namespace latte::ascend
