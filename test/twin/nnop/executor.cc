// libnnopbase: executors, which run once unless they were made repeatable.
#include <cstring>

#include "nnop/kernels.h"
#include "runtime/stream.h"

namespace latte::twin {

namespace {

bool same_place(const View& a, const View& b) {
  return a.begin() == b.begin() && a.dims == b.dims && a.strides == b.strides;
}

/// Whether dense views have memory in common. Interleaved views may share a range.
bool overlap(const View& a, const View& b) {
  if (a.elements() == 0 || b.elements() == 0) return false;
  if (!a.is_contiguous() || !b.is_contiguous()) return same_place(a, b);
  const auto* a_begin = static_cast<const char*>(a.begin());
  const auto* b_begin = static_cast<const char*>(b.begin());
  return a_begin < b_begin + b.extent_bytes() && b_begin < a_begin + a.extent_bytes();
}

/// Whether an output overlaps an input. It may be one of the inputs if the operation's
/// documentation allows that; any other overlap counts.
bool is_overwritten(const Executor& executor, const View& written, int own_input) {
  for (size_t i = 0; i < executor.inputs.size(); ++i) {
    const View& in = executor.inputs[i].view;
    if (static_cast<int>(i) == own_input) continue;
    if (executor.may_be_in_place && same_place(in, written)) continue;
    if (overlap(in, written)) return true;
  }
  return false;
}

struct Held {
  std::vector<Use> uses;
  ~Held() {
    for (const Use& use : uses) Memory::instance().release(use);
  }
};

/// Holds the memory of all operands of an executor. Returns the reason if some of it was freed.
std::string hold_operands(const Executor& executor, int device, Held& held) {
  for (const auto* operands : {&executor.inputs, &executor.outputs}) {
    for (const Operand& operand : *operands) {
      if (operand.view.elements() == 0) continue;
      std::string reason;
      Use use = Memory::instance().hold(operand.view.begin(), operand.view.extent_bytes(), reason);
      if (use != nullptr && use->device != device) {
        reason = "is of another device";
        Memory::instance().release(use);
        use = nullptr;
      }
      if (use == nullptr) {
        return format("the tensor %s at %p (%zu bytes) %s", describe(operand.view).c_str(),
                      operand.view.begin(), operand.view.extent_bytes(), reason.c_str());
      }
      held.uses.push_back(std::move(use));
    }
  }
  for (const Operand& out : executor.outputs) {
    if (is_overwritten(executor, out.view, -1)) return "an output lies in an input";
  }
  const int written = executor.written_input;
  if (written >= 0 &&
      is_overwritten(executor, executor.inputs[static_cast<size_t>(written)].view, written)) {
    return "source and destination have memory in common";
  }
  return "";
}

std::vector<View> views_of(const std::vector<Operand>& operands) {
  std::vector<View> views;
  for (const Operand& operand : operands) views.push_back(operand.view);
  return views;
}

/// Returns false if memory was freed; translating its address has then reported a violation.
bool reach(const std::vector<View>& views, std::vector<Elements>& elements) {
  for (const View& view : views) {
    Elements reached{view, nullptr};
    if (view.elements() > 0) {
      reached.origin =
          static_cast<std::byte*>(latte_twin_translate(view.begin(), view.extent_bytes()));
      if (reached.origin == nullptr) return false;
    }
    elements.push_back(std::move(reached));
  }
  return true;
}

/// Overwrites the workspace, so that code which keeps data in it fails.
bool scribble(void* workspace, uint64_t bytes) {
  if (bytes == 0) return true;
  void* memory = latte_twin_translate(workspace, bytes);
  if (memory == nullptr) return false;
  std::memset(memory, 0xff, bytes);
  return true;
}

}  // namespace

Executor::Executor() {
  const auto current = current_context();
  context = current == nullptr ? nullptr : current->handle;
}

Executor::~Executor() {
  for (auto* operands : {&inputs, &outputs}) {
    for (Operand& operand : *operands) --operand.tensor->users;
  }
}

Handles<Executor>& executors() {
  static auto* handles = new Handles<Executor>(HandleKind::kExecutor, "aclOpExecutor");
  return *handles;
}

aclnnStatus run_executor(const char* operation, void* workspace, uint64_t bytes,
                         aclOpExecutor* handle, aclrtStream stream) {
  const auto executor = executors().find(handle, operation);
  if (executor == nullptr) return ACLNN_ERR_INNER_NULLPTR;
  // "aclOpExecutor that is set to the reusable state does not clear the executor resources after
  // the second API is executed" (aclSetAclOpExecutorRepeatable, 8.0.0 to 8.1.RC1): every other one
  // does.
  if (!executor->repeatable) executors().remove(handle, operation);
  if (std::strcmp(executor->operation, operation) != 0) {
    return misuse(ACLNN_ERR_PARAM_INVALID,
                  format("%s was given an executor of %s", operation, executor->operation));
  }
  const Entry entry = enter(operation, Needs::kContext, "launch");
  if (entry.code != 0) return entry.code;
  // Our reading: kernels are loaded for a context (hicann/runtime 681ef76, design/modules/context,
  // "Module"), and no page allows an executor in another one than its own.
  if (entry.context->handle != executor->context) {
    return misuse(ACLNN_ERR_PARAM_INVALID,
                  format("%s: the executor was made in another context", operation));
  }
  int code = 0;
  const auto target = stream_of(entry, stream, operation, code);
  if (target == nullptr) return code;
  // Our reading: an executor that can run once cannot run at each replay.
  if (target->is_captured() && !executor->repeatable) {
    target->invalidate_capture();
    return misuse(
        ACLNN_ERR_PARAM_INVALID,
        format("%s: an executor that runs once, on a stream that is captured", operation));
  }
  const uint64_t needed = executor->workspace_bytes;
  Held held;
  std::string wrong;
  if (bytes < needed || (needed > 0 && workspace == nullptr)) {
    wrong = format("a workspace of %llu bytes at %p, where %llu are needed",
                   static_cast<unsigned long long>(bytes), workspace,
                   static_cast<unsigned long long>(needed));
  } else if (needed > 0) {
    std::string reason;
    Use use = Memory::instance().hold(workspace, bytes, reason);
    if (use == nullptr) wrong = format("the workspace at %p %s", workspace, reason.c_str());
    if (use != nullptr) held.uses.push_back(std::move(use));
  }
  if (wrong.empty()) wrong = hold_operands(*executor, target->device(), held);
  if (!wrong.empty()) {
    return misuse(ACLNN_ERR_PARAM_INVALID, std::string(operation) + ": " + wrong);
  }
  executor->has_run = true;
  Task task;
  task.name = operation;
  task.injected = entry.injected.code;
  task.uses.swap(held.uses);
  task.run = [compute = executor->compute, in = views_of(executor->inputs),
              out = views_of(executor->outputs), workspace, bytes = needed] {
    std::vector<Elements> inputs, outputs;
    if (!scribble(workspace, bytes) || !reach(in, inputs) || !reach(out, outputs)) {
      return ACL_ERROR_RT_AICORE_EXCEPTION;
    }
    if (compute) compute(inputs, outputs);
    return scribble(workspace, bytes) ? ACL_SUCCESS : ACL_ERROR_RT_AICORE_EXCEPTION;
  };
  task.count_launch = [operation] {
    count("launches");
    count(std::string("launch ") + operation);
  };
  if (executor->kernels != nullptr) {
    task.count_kernels = [kernels = executor->kernels, device = target->device(),
                          in = views_of(executor->inputs), out = views_of(executor->outputs),
                          workspace] { kernels->count_run(device, in, out, workspace); };
  }
  return target->push(std::move(task));
}

}  // namespace latte::twin

using namespace latte::twin;

namespace latte::ascend {

namespace {

aclnnStatus rebind(const char* function, aclOpExecutor* handle, bool inputs, size_t index,
                   aclTensor* tensor, void* address) {
  count(std::string("call ") + function);
  const Injected injected = take_fault(function, nullptr, -1);
  if (injected.code != 0) return failure(injected.code, format("%s: injected", function));
  const auto executor = executors().find(handle, function);
  if (executor == nullptr) return ACLNN_ERR_INNER_NULLPTR;
  auto& operands = inputs ? executor->inputs : executor->outputs;
  // "Before calling this API, aclSetAclOpExecutorRepeatable must be called" (aclSetInputTensorAddr,
  // aclSetOutputTensorAddr, 8.0.0 to 8.1.RC1).
  if (!executor->repeatable) {
    return misuse(ACLNN_ERR_PARAM_INVALID,
                  format("%s of an executor that was not made repeatable", function));
  }
  if (index >= operands.size() || operands[index].handle != tensor) {
    return misuse(ACLNN_ERR_PARAM_INVALID, format("%s: operand %zu of %s is another tensor",
                                                  function, index, executor->operation));
  }
  // "The address must be 32-byte aligned, else the behaviour is undefined" (aclSetInputTensorAddr,
  // aclSetOutputTensorAddr, 9.0; 8.1.RC1 does not say).
  if (reinterpret_cast<uint64_t>(address) % 32 != 0) {
    return misuse(ACLNN_ERR_PARAM_INVALID,
                  format("%s: %p is no multiple of 32", function, address));
  }
  operands[index].view.data = address;
  return ACL_SUCCESS;
}

}  // namespace

extern "C" {

aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* handle) {
  count("call aclSetAclOpExecutorRepeatable");
  const Injected injected = take_fault("aclSetAclOpExecutorRepeatable", nullptr, -1);
  if (injected.code != 0) {
    return failure(injected.code, "aclSetAclOpExecutorRepeatable: injected");
  }
  const auto executor = executors().find(handle, "aclSetAclOpExecutorRepeatable");
  if (executor == nullptr) return ACLNN_ERR_INNER_NULLPTR;
  if (executor->not_repeatable != nullptr) {
    return misuse(ACLNN_ERR_PARAM_INVALID, format("executors of %s cannot be made repeatable: %s",
                                                  executor->operation, executor->not_repeatable));
  }
  // "Call this immediately after aclnnXxxGetWorkspaceSize" (aclSetAclOpExecutorRepeatable, 8.0).
  if (executor->has_run) {
    return misuse(ACLNN_ERR_PARAM_INVALID, "aclSetAclOpExecutorRepeatable after the executor ran");
  }
  executor->repeatable = true;
  return ACL_SUCCESS;
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* handle) {
  count("call aclDestroyAclOpExecutor");
  if (handle == nullptr) return ACLNN_ERR_INNER_NULLPTR;
  return executors().remove(handle, "aclDestroyAclOpExecutor") ? ACL_SUCCESS
                                                               : ACLNN_ERR_INNER_NULLPTR;
}

aclnnStatus aclSetInputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor,
                                  void* address) {
  return rebind("aclSetInputTensorAddr", executor, true, index, tensor, address);
}

aclnnStatus aclSetOutputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor,
                                   void* address) {
  return rebind("aclSetOutputTensorAddr", executor, false, index, tensor, address);
}
}

}  // namespace latte::ascend
