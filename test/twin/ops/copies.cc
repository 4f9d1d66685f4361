// aclnnCast and aclnnInplaceCopy.
#include "ops/operation.h"
#include "runtime/devices.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

/// "910A has no bfloat16" (aclnnCast, aclnnInplaceCopy: M).
void require_known(const View& view, const char* name) {
  if (view.dtype == ACL_BF16 && is_first_generation()) {
    refuse(std::string(name) + " is BFLOAT16, which " + soc_name() + " does not know");
  }
}

}  // namespace

extern "C" {

aclnnStatus aclnnCastGetWorkspaceSize(const aclTensor* self, const aclDataType dtype,
                                      aclTensor* out, uint64_t* bytes, aclOpExecutor** executor) {
  return first_call("aclnnCast", bytes, executor, [&](Call& call) {
    const View& from = call.input(self, "self");
    const View& to = call.output(out, "out");
    require_known(from, "self");
    require_known(to, "out");
    if (to.dtype != dtype) refuse("out " + describe(to) + " is not of the dtype asked for");
    // aclnnCast (M) does not say whether float64 goes by way of the AI CPU or of float32, so that
    // its rounding is unspecified.
    if (from.dtype == ACL_DOUBLE || to.dtype == ACL_DOUBLE) {
      refuse("DOUBLE is rounded in a way that is not documented");
    }
    require_same_dims(from, to);
    // For an equal dtype aclnnCast only copies, which cannot be repeated (math/cast/op_api, M).
    if (from.dtype == to.dtype) call.executor().not_repeatable = "it only copies";
    call.executor().workspace_bytes = gather_bytes({&from, &to});
    KernelPlan& kernels = call.kernels();
    kernels.view_copy(kernels.cast(kernels.contiguous(kernels.input(0)), dtype), kernels.output(0));
    call.executor().compute = [](const auto& in, const auto& outs) {
      convert_elements(in[0], outs[0]);
    };
  });
}

aclnnStatus aclnnInplaceCopyGetWorkspaceSize(aclTensor* self, const aclTensor* source,
                                             uint64_t* bytes, aclOpExecutor** executor) {
  return first_call("aclnnInplaceCopy", bytes, executor, [&](Call& call) {
    // Both count as inputs (conversion/view_copy/op_api, M). Which one is written is decided when
    // the work runs.
    const View& to = call.input(self, "selfRef");
    const View& from = call.input(source, "src");
    require_known(to, "selfRef");
    require_known(from, "src");
    const BroadcastDims dims = broadcast_dims(from.dims, to.dims);
    if (!dims.ok || dims.dims != to.dims) {
      refuse("src " + describe(from) + " does not broadcast to selfRef " + describe(to));
    }
    // "1 to 8 dimensions" (aclnnInplaceCopy, M).
    if (to.dims.empty()) refuse("selfRef has no dims");
    // "aclSetAclOpExecutorRepeatable is not for operations whose ViewCopy may have the same source
    // and destination" (8.0.0 to 9.0).
    call.executor().not_repeatable = "it copies between the caller's own tensors";
    call.executor().written_input = 0;
    call.executor().workspace_bytes = to.dtype == from.dtype ? 0 : gather_bytes({&to, &from});
    KernelPlan& kernels = call.kernels();
    Place copied = kernels.cast(kernels.contiguous(kernels.input(1)), to.dtype);
    if (from.dims != to.dims) {
      copied = kernels.run("BroadcastTo", {copied}, to.elements(), to.dtype);
    }
    kernels.view_copy(copied, kernels.input(0));
    call.executor().compute = [](const auto& in, const auto&) {
      convert_elements(broadcast_to(in[1], in[0].view.dims), in[0]);
    };
  });
}
}

}  // namespace latte::ascend
