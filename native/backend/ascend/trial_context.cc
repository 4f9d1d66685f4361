#include "backend/ascend/trial_context.h"

namespace latte::ascend {

TrialContext::~TrialContext() {
  if (hangs_) return;
  wait();
  if (device_ != nullptr) acl_.aclrtFree(device_);
  if (host_ != nullptr) acl_.aclrtFreeHost(host_);
}

void TrialContext::allocate(size_t bytes) {
  bytes_ = bytes;
  void* memory = nullptr;
  LATTE_ACL(acl_, aclrtMalloc, &memory, bytes_, ACL_MEM_MALLOC_HUGE_FIRST);
  device_ = static_cast<std::byte*>(memory);
  LATTE_ACL(acl_, aclrtMallocHost, &memory, 2 * bytes_);
  host_ = static_cast<std::byte*>(memory);
}

void TrialContext::copy(void* to, const void* from, aclrtMemcpyKind kind) {
  LATTE_ACL(acl_, aclrtMemcpyAsync, to, bytes_, from, bytes_, kind, context_.stream());
}

bool TrialContext::ends_within(int32_t milliseconds) {
  hangs_ = !context_.synchronise_within(milliseconds);
  return !hangs_;
}

void TrialContext::wait() { acl_.aclrtSynchronizeStream(context_.stream()); }

}  // namespace latte::ascend
