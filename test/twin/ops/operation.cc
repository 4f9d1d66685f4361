#include "ops/operation.h"

#include <algorithm>

#include "runtime/devices.h"

namespace latte::twin {

namespace {

/// The unit of a workspace in bytes: the twin's own choice.
constexpr uint64_t kWorkspaceUnit = 512;

/// LATTE_TWIN_KERNEL_PACKAGE is the code that operations return as if their kernels were not
/// installed: 561112 ("the binary kernel library of an operator is not loaded") or 561003
/// ("searches for the NPU kernel (possibly because the operator binary package is not installed)").
/// hicann/opbase aa3cd74, aclnn_return_codes.md; op_kernel.h returns the first of them from
/// XGetWorkspaceSize.
int missing_kernels() {
  return static_cast<int>(environment_number("LATTE_TWIN_KERNEL_PACKAGE", 0));
}

}  // namespace

void refuse(const std::string& words, aclnnStatus code) { throw Refusal{code, words}; }

Operand Call::operand(const aclTensor* tensor, const char* name) {
  // "161001: a required input, output or attribute is a null pointer" (aclnn return
  // codes, 8.1.RC1).
  if (tensor == nullptr) refuse(std::string(name) + " is null", ACLNN_ERR_PARAM_NULLPTR);
  Operand operand;
  operand.handle = tensor;
  operand.tensor = tensors().find(tensor, name);
  if (operand.tensor == nullptr) refuse(std::string(name) + " is no tensor");
  operand.view = operand.tensor->view;
  ++operand.tensor->users;
  return operand;
}

const View& Call::input(const aclTensor* tensor, const char* name) {
  // References to views must stay valid while the next operand is added.
  executor_->inputs.reserve(4);
  executor_->inputs.push_back(operand(tensor, name));
  return executor_->inputs.back().view;
}

const View& Call::output(const aclTensor* tensor, const char* name) {
  executor_->outputs.reserve(4);
  executor_->outputs.push_back(operand(tensor, name));
  const View& view = executor_->outputs.back().view;
  // On the first generation, CopyNpuToNpu moves the result for a dense output that does not fill
  // its storage. That excludes reuse (conversion/contiguous/op_host/op_api/contiguous.cpp, M).
  if (is_first_generation() && view.is_contiguous() && view.storage != view.elements()) {
    executor_->not_repeatable = "its output does not fill its storage, on the first generation";
  }
  return view;
}

KernelPlan& Call::kernels() {
  if (kernels_ == nullptr) {
    kernels_ = std::make_shared<KernelPlan>(executor_->inputs, executor_->outputs);
    executor_->kernels = kernels_;
  }
  return *kernels_;
}

double Call::scalar(const aclScalar* scalar, const char* name) {
  if (scalar == nullptr) refuse(std::string(name) + " is null", ACLNN_ERR_PARAM_NULLPTR);
  const auto found = scalars().find(scalar, name);
  if (found == nullptr) refuse(std::string(name) + " is no scalar");
  if (found->dtype != ACL_FLOAT) refuse(std::string(name) + " is not of FLOAT");
  return found->value;
}

std::vector<int64_t> Call::array(const aclIntArray* array, const char* name) {
  if (array == nullptr) refuse(std::string(name) + " is null", ACLNN_ERR_PARAM_NULLPTR);
  const auto found = arrays().find(array, name);
  if (found == nullptr) refuse(std::string(name) + " is no array");
  return found->values;
}

aclnnStatus first_call(const char* operation, uint64_t* bytes, aclOpExecutor** executor,
                       const std::function<void(Call&)>& describe) {
  const Entry entry = enter((std::string(operation) + "GetWorkspaceSize").c_str(), Needs::kContext);
  if (entry.code != 0) return entry.code;
  if (bytes == nullptr || executor == nullptr) {
    return misuse(ACLNN_ERR_PARAM_NULLPTR, format("%s: nowhere to put the executor", operation));
  }
  if (const int missing = missing_kernels()) {
    return failure(missing, format("Op %s does not has any binary.", operation));
  }
  try {
    Call call;
    call.executor().operation = operation;
    describe(call);
    const std::shared_ptr<Executor> made = call.take();
    uint64_t& workspace = made->workspace_bytes;
    if (made->kernels != nullptr) {
      workspace = std::max(workspace, made->kernels->workspace_bytes());
      // A task of the AI CPU keeps its addresses; nothing sets them anew
      // (ADD_TO_LAUNCHER_LIST_AICPU in conversion/view_copy/op_api/view_copy.cpp, M).
      if (made->kernels->on_ai_cpu()) made->not_repeatable = "its ViewCopy runs on the AI CPU";
    }
    workspace = (workspace + kWorkspaceUnit - 1) / kWorkspaceUnit * kWorkspaceUnit;
    *bytes = workspace;
    *executor = static_cast<aclOpExecutor*>(executors().add(made));
  } catch (const Refusal& refusal) {
    return misuse(refusal.code, std::string(operation) + ": " + refusal.words);
  }
  count("executors made");
  return ACL_SUCCESS;
}

bool is_computed(aclDataType dtype) {
  return dtype == ACL_FLOAT || dtype == ACL_FLOAT16 ||
         (dtype == ACL_BF16 && !is_first_generation());
}

void require_float(const View& view, const char* name) {
  if (!is_computed(view.dtype)) {
    refuse(format("%s is %s, and %s computes in FLOAT, FLOAT16%s alone", name,
                  describe(view).c_str(), soc_name().c_str(),
                  is_first_generation() ? "" : " and BFLOAT16"));
  }
}

void require_same_dims(const View& a, const View& b) {
  if (a.dims != b.dims) refuse(describe(a) + " and " + describe(b) + " differ in shape");
}

void require_same_dtype(const View& a, const View& b) {
  if (a.dtype != b.dtype) refuse(describe(a) + " and " + describe(b) + " differ in dtype");
}

aclDataType deduced(aclDataType a, aclDataType b) { return a == b ? a : ACL_FLOAT; }

uint64_t gather_bytes(const std::vector<const View*>& views) {
  uint64_t bytes = 0;
  for (const View* view : views) {
    if (!view->is_contiguous()) {
      bytes += static_cast<uint64_t>(view->elements()) * item_size(view->dtype);
    }
  }
  return bytes;
}

}  // namespace latte::twin
