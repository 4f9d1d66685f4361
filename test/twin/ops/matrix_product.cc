// aclnnMm and aclnnAddmm.
#include <algorithm>
#include <bit>
#include <cmath>

#include "core/dtype.h"
#include "ops/operation.h"
#include "runtime/devices.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// cubeMathType (aclnnMm, aclnnAddmm: N and 8.0).
enum CubeMathType : int8_t {
  kKeepDtype = 0,
  kAllowDownPrecision = 1,
  kUseHalf = 2,
  kUseHf32 = 3,
};

/// How operands are rounded on their way into the cube unit.
enum class CubeRounding { kNone, kHf32, kHalf };

/// HF32 keeps 11 bits of the mantissa.
float round_hf32(float value) {
  if (!std::isfinite(value)) return value;
  constexpr uint32_t kDropped = 12;
  uint32_t bits = std::bit_cast<uint32_t>(value);
  bits += (uint32_t{1} << (kDropped - 1)) - 1 + ((bits >> kDropped) & 1);
  return std::bit_cast<float>(bits & ~((uint32_t{1} << kDropped) - 1));
}

CubeRounding cube_rounding(aclDataType dtype, int8_t type) {
  const bool first = is_first_generation();
  const bool single = dtype == ACL_FLOAT;
  switch (type) {
    case kKeepDtype:
      if (first && single) {
        refuse("cubeMathType 0 keeps FLOAT, in which " + soc_name() + " has no product");
      }
      return CubeRounding::kNone;
    case kAllowDownPrecision:
      if (!single) return CubeRounding::kNone;
      return first ? CubeRounding::kHalf : CubeRounding::kHf32;
    case kUseHalf:
      if (dtype == ACL_BF16) refuse("cubeMathType 2 is not for BFLOAT16");
      return single ? CubeRounding::kHalf : CubeRounding::kNone;
    case kUseHf32:
      if (first || !single) refuse("cubeMathType 3 is for FLOAT, and not for the first generation");
      return CubeRounding::kHf32;
    default:
      refuse(format("an unknown cubeMathType %d", type));
  }
}

void round_operand(std::vector<float>& values, CubeRounding rounding) {
  if (rounding == CubeRounding::kNone) return;
  for (float& value : values) {
    value =
        rounding == CubeRounding::kHf32 ? round_hf32(value) : half_to_float(float_to_half(value));
  }
}

/// [m, k]·[k, n] in float32: 16 products are added up at a time, and their sum is added to the
/// accumulator.
std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, size_t m,
                           size_t k, size_t n) {
  constexpr size_t kStep = 16;
  std::vector<float> result(m * n, 0.0f), sums(n);
  for (size_t row = 0; row < m; ++row) {
    float* accumulator = &result[row * n];
    for (size_t from = 0; from < k; from += kStep) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (size_t i = from; i < std::min(k, from + kStep); ++i) {
        const float factor = a[row * k + i];
        const float* line = &b[i * n];
        for (size_t column = 0; column < n; ++column) sums[column] += factor * line[column];
      }
      for (size_t column = 0; column < n; ++column) accumulator[column] += sums[column];
    }
  }
  return result;
}

/// Returns [rows, columns] of the product of two matrices; refuses operands that do not fit.
std::vector<int64_t> product_dims(const View& a, const View& b) {
  if (a.dims.size() != 2 || b.dims.size() != 2) refuse("an operand is not a matrix");
  if (a.dims[1] != b.dims[0]) refuse(describe(a) + " and " + describe(b) + " do not fit together");
  return {a.dims[0], b.dims[1]};
}

/// Checks the result of either product.
void check_out(const View& out, const std::vector<int64_t>& dims, aclDataType dtype) {
  if (out.dims != dims) refuse("out has another shape than the product: " + describe(out));
  // "the data type must be the same as that deduced from self and mat2" (aclnnMm, N and 8.0).
  if (out.dtype != dtype) refuse("out has another dtype than the product: " + describe(out));
  // Non-contiguous tensors are supported for self and mat2, and not named for out (aclnnMm, N).
  if (!out.is_contiguous()) refuse("out is not contiguous");
}

/// Bytes that gathering a matrix takes: none for a dense or transposed one, which the cube unit
/// reads as it is.
uint64_t gather_matrix(const View& view) {
  View transposed = view;
  std::swap(transposed.dims[0], transposed.dims[1]);
  std::swap(transposed.strides[0], transposed.strides[1]);
  return transposed.is_contiguous() ? 0 : gather_bytes({&view});
}

/// Adds what makes a matrix ready for a product: nothing if it is dense, or dense when transposed
/// (IsTransposeLastTwoDims, matmul/common/op_host/op_api/matmul_util.cpp, N).
Place matrix(KernelPlan& kernels, const View& view, Place place) {
  View transposed = view;
  std::swap(transposed.dims[0], transposed.dims[1]);
  std::swap(transposed.strides[0], transposed.strides[1]);
  return transposed.is_contiguous() ? place : kernels.contiguous(place);
}

/// The workspace of a product in bytes: the twin's own choice.
constexpr uint64_t kProductWorkspace = 16384;

/// One row with both scalars 1 is the product's bias, which 910B wants as FLOAT for bfloat16
/// (NeedToConvertBias, Dav2201MatMulRule::UpdateBiasDtype). Anything else is a product and an Add,
/// for half types in FLOAT (AddmmMatmulGraph, matmul/mat_mul_v3/op_host/op_api/aclnn_addmm.cpp, N).
void describe_addmm(KernelPlan& kernels, const View& added, const View& a, const View& b,
                    const View& result, bool plain) {
  const std::vector<Place> matrices = {matrix(kernels, a, kernels.input(1)),
                                       matrix(kernels, b, kernels.input(2))};
  const int64_t elements = result.elements();
  Place addend = kernels.contiguous(kernels.input(0));
  const int64_t rows = added.dims.size() == 2 ? added.dims[0] : 1;
  if (plain && rows == 1 && added.dims.back() == result.dims[1]) {
    if (added.dtype == ACL_BF16) addend = kernels.cast(addend, ACL_FLOAT);
    const Place product =
        kernels.run("MatMul", {matrices[0], matrices[1], addend}, elements, result.dtype);
    return kernels.view_copy(product, kernels.output(0));
  }
  if (!plain) addend = kernels.run("Muls", {addend}, added.elements(), added.dtype);
  addend = kernels.cast(addend, ACL_FLOAT);
  const Place product = kernels.run("MatMul", matrices, elements, ACL_FLOAT);
  const Place sum = kernels.run(plain ? "Add" : "Axpy", {addend, product}, elements, ACL_FLOAT);
  kernels.view_copy(kernels.cast(sum, result.dtype), kernels.output(0));
}

}  // namespace

extern "C" {

aclnnStatus aclnnMmGetWorkspaceSize(const aclTensor* self, const aclTensor* mat2, aclTensor* out,
                                    int8_t cube_math_type, uint64_t* bytes,
                                    aclOpExecutor** executor) {
  return first_call("aclnnMm", bytes, executor, [&](Call& call) {
    const View& a = call.input(self, "self");
    const View& b = call.input(mat2, "mat2");
    const View& result = call.output(out, "out");
    require_float(a, "self");
    require_float(b, "mat2");
    const std::vector<int64_t> dims = product_dims(a, b);
    const aclDataType dtype = deduced(a.dtype, b.dtype);
    check_out(result, dims, dtype);
    const CubeRounding rounding = cube_rounding(dtype, cube_math_type);
    if (result.elements() == 0) return;
    call.executor().workspace_bytes = kProductWorkspace + gather_matrix(a) + gather_matrix(b);
    KernelPlan& kernels = call.kernels();
    const std::vector<Place> matrices = {matrix(kernels, a, kernels.input(0)),
                                         matrix(kernels, b, kernels.input(1))};
    // "k = 1": a Mul (IfKEqual1, the same file).
    kernels.view_copy(
        kernels.run(a.dims[1] == 1 ? "Mul" : "MatMul", matrices, result.elements(), dtype),
        kernels.output(0));
    call.executor().compute = [rounding](const auto& in, const auto& outs) {
      std::vector<float> left = read_floats(in[0]), right = read_floats(in[1]);
      round_operand(left, rounding);
      round_operand(right, rounding);
      const auto& shape = in[0].view.dims;
      write_floats(outs[0],
                   product(left, right, static_cast<size_t>(shape[0]),
                           static_cast<size_t>(shape[1]), static_cast<size_t>(in[1].view.dims[1])));
    };
  });
}

aclnnStatus aclnnAddmmGetWorkspaceSize(const aclTensor* self, const aclTensor* mat1,
                                       const aclTensor* mat2, const aclScalar* beta,
                                       const aclScalar* alpha, aclTensor* out,
                                       int8_t cube_math_type, uint64_t* bytes,
                                       aclOpExecutor** executor) {
  return first_call("aclnnAddmm", bytes, executor, [&](Call& call) {
    const View& added = call.input(self, "self");
    const View& a = call.input(mat1, "mat1");
    const View& b = call.input(mat2, "mat2");
    const View& result = call.output(out, "out");
    const auto scale = static_cast<float>(call.scalar(beta, "beta"));
    const auto factor = static_cast<float>(call.scalar(alpha, "alpha"));
    require_float(added, "self");
    require_float(a, "mat1");
    require_float(b, "mat2");
    const std::vector<int64_t> dims = product_dims(a, b);
    // "self must satisfy the broadcast relationship with mat1 @ mat2" (aclnnAddmm, N and 8.1).
    const BroadcastDims with_self = broadcast_dims(added.dims, dims);
    if (added.dims.empty() || added.dims.size() > 2 || !with_self.ok || with_self.dims != dims) {
      refuse("self " + describe(added) + " does not broadcast to the product");
    }
    const aclDataType dtype = deduced(a.dtype, b.dtype);
    check_out(result, dims, deduced(added.dtype, dtype));
    const CubeRounding rounding = cube_rounding(dtype, cube_math_type);
    if (result.elements() == 0) return;
    call.executor().workspace_bytes =
        kProductWorkspace + gather_bytes({&added}) + gather_matrix(a) + gather_matrix(b);
    describe_addmm(call.kernels(), added, a, b, result, scale == 1 && factor == 1);
    call.executor().compute = [=](const auto& in, const auto& outs) {
      std::vector<float> left = read_floats(in[1]), right = read_floats(in[2]);
      round_operand(left, rounding);
      round_operand(right, rounding);
      const auto& shape = in[1].view.dims;
      std::vector<float> sum =
          product(left, right, static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]),
                  static_cast<size_t>(in[2].view.dims[1]));
      const std::vector<float> addend = read_floats(broadcast_to(in[0], outs[0].view.dims));
      for (size_t i = 0; i < sum.size(); ++i) sum[i] = factor * sum[i] + scale * addend[i];
      write_floats(outs[0], sum);
    };
  });
}
}

}  // namespace latte::ascend
