// ACL's handles, each given back by its owner's end. All of them belong to the thread whose current
// context they were made in, and end there.
#pragma once

#include <memory>
#include <utility>

#include "backend/ascend/acl/acl_call.h"

namespace latte::ascend {

/// Owns one handle; `destroy` is the member of AclFunctions that destroys it. If that fails,
/// nothing can be done about it, and the code is dropped.
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

  void reset() {
    if (handle_ != nullptr) (acl_->*destroy)(std::exchange(handle_, nullptr));
  }
  /// The handle, which the caller gives back from now on, or nobody.
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

// On failure these two return null and set no code.

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
