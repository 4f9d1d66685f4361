// Owners of ACL's handles. A handle belongs to the context that was current when it was created. It
// must be destroyed on the thread that has this context.
#pragma once

#include <memory>
#include <utility>

#include "backend/ascend/acl/acl_call.h"

namespace latte::ascend {

/// Owns one handle. `destroy` is the member of AclFunctions that destroys it; its code is ignored,
/// because nothing can be done about a failure.
template <class Handle, auto destroy>
class AclHandle {
 public:
  AclHandle() = default;
  AclHandle(const AclFunctions& acl, Handle handle) : acl_(&acl), handle_(handle) {}
  AclHandle(AclHandle&& other) noexcept
      : acl_(other.acl_), handle_(std::exchange(other.handle_, nullptr)) {}
  AclHandle& operator=(AclHandle&& other) noexcept {
    std::swap(acl_, other.acl_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  AclHandle(const AclHandle&) = delete;
  AclHandle& operator=(const AclHandle&) = delete;
  ~AclHandle() { reset(); }

  /// Destroys the handle.
  void reset() {
    if (handle_ != nullptr) (acl_->*destroy)(std::exchange(handle_, nullptr));
  }
  /// Returns the handle without destroying it: from now on the caller owns it.
  Handle release() { return std::exchange(handle_, nullptr); }
  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  const AclFunctions* acl_ = nullptr;
  Handle handle_ = nullptr;
};

using ContextHandle = AclHandle<aclrtContext, &AclFunctions::aclrtDestroyContext>;
using StreamHandle = AclHandle<aclrtStream, &AclFunctions::aclrtDestroyStream>;
using EventHandle = AclHandle<aclrtEvent, &AclFunctions::aclrtDestroyEvent>;
using TensorHandle = AclHandle<aclTensor*, &AclFunctions::aclDestroyTensor>;
using ScalarHandle = AclHandle<aclScalar*, &AclFunctions::aclDestroyScalar>;
using IntArrayHandle = AclHandle<aclIntArray*, &AclFunctions::aclDestroyIntArray>;
using GraphHandle = AclHandle<aclmdlRI, &AclFunctions::aclmdlRIDestroy>;
using ExecutorHandle = AclHandle<aclOpExecutor*, &AclFunctions::aclDestroyAclOpExecutor>;

inline ContextHandle create_context(const AclFunctions& acl, int32_t device) {
  aclrtContext context = nullptr;
  LATTE_ACL(acl, aclrtCreateContext, &context, device);
  return {acl, context};
}

// aclCreateScalar and aclCreateIntArray return null on failure, and no code.

inline ScalarHandle create_scalar(const AclFunctions& acl, float value) {
  aclScalar* scalar = acl.aclCreateScalar(&value, ACL_FLOAT);
  if (scalar == nullptr) throw device_error(acl, "aclCreateScalar", ACL_ERROR_RT_PARAM_INVALID);
  return {acl, scalar};
}

inline IntArrayHandle create_int_array(const AclFunctions& acl, int64_t value) {
  aclIntArray* array = acl.aclCreateIntArray(&value, 1);
  if (array == nullptr) throw device_error(acl, "aclCreateIntArray", ACL_ERROR_RT_PARAM_INVALID);
  return {acl, array};
}

inline EventHandle create_event(const AclFunctions& acl) {
  aclrtEvent event = nullptr;
  LATTE_ACL(acl, aclrtCreateEventExWithFlag, &event, ACL_EVENT_SYNC);
  return {acl, event};
}

}  // namespace latte::ascend
