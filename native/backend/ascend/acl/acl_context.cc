#include "backend/ascend/acl/acl_context.h"

namespace latte::ascend {

namespace {

/// Makes the stream stop on failure. Returns false if this CANN release or the device's firmware is
/// too old for it (docs/ascend-operations.md).
bool stop_on_failure(const AclFunctions& acl, aclrtStream stream) {
  if (acl.aclrtSetStreamFailureMode == nullptr) return false;
  const aclError status = acl.aclrtSetStreamFailureMode(stream, ACL_STOP_ON_FAILURE);
  if (status == ACL_ERROR_RT_FEATURE_NOT_SUPPORT) {
    acl.aclGetRecentErrMsg();  // clears the message, so that no later error carries it
    return false;
  }
  check(acl, "aclrtSetStreamFailureMode", status);
  return true;
}

}  // namespace

StreamContext::StreamContext(const AclFunctions& acl, int32_t device)
    : acl_(&acl), context_(create_context(acl, device)) {
  LATTE_ACL(acl, aclrtSetCurrentContext, context_.get());
  aclrtStream stream = nullptr;
  LATTE_ACL(acl, aclrtCreateStream, &stream);
  stream_ = StreamHandle(acl, stream);
  stops_on_failure_ = stop_on_failure(acl, stream);
}

void StreamContext::destroy() {
  stream_.reset();
  context_.reset();
}

void StreamContext::destroy_failed() {
  if (stream_ && acl_->aclrtDestroyStreamForce != nullptr) {
    acl_->aclrtDestroyStreamForce(stream_.release());
  }
  destroy();
}

void StreamContext::abandon() {
  stream_.release();
  context_.release();
}

ScratchContext::ScratchContext(const AclFunctions& acl, int32_t device, aclrtContext current,
                               bool& abandoned)
    : acl_(acl), current_(current), abandoned_(abandoned) {
  try {
    context_ = StreamContext(acl, device);
  } catch (...) {
    acl.aclrtSetCurrentContext(current);
    throw;
  }
}

ScratchContext::~ScratchContext() {
  if (hangs_) {
    abandoned_ = true;
    context_.abandon();
  } else {
    // Waits for tasks for which nobody has waited: the caller frees their memory after this.
    failed_ = failed_ || acl_.aclrtSynchronizeStream(context_.stream()) != ACL_SUCCESS;
    if (failed_) acl_.aclGetRecentErrMsg();
    failed_ ? context_.destroy_failed() : context_.destroy();
  }
  acl_.aclrtSetCurrentContext(current_);
}

bool ScratchContext::synchronise_within(int32_t milliseconds) {
  const bool limited = acl_.aclrtSynchronizeStreamWithTimeout != nullptr;
  const aclError status =
      limited ? acl_.aclrtSynchronizeStreamWithTimeout(context_.stream(), milliseconds)
              : acl_.aclrtSynchronizeStream(context_.stream());
  if (status == ACL_SUCCESS) return true;
  const Error error = device_error(acl_, "aclrtSynchronizeStream", status);
  hangs_ = status == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
  if (hangs_) return false;
  failed_ = true;
  throw error;
}

}  // namespace latte::ascend
