// Contexts with one stream each. After a failed task a context is replaced by a new one.
#pragma once

#include "backend/ascend/acl/acl_handle.h"

namespace latte::ascend {

/// A context and its stream.
class StreamContext {
 public:
  StreamContext() = default;
  /// Creates both. The context becomes the current one of the calling thread.
  StreamContext(const AclFunctions& acl, int32_t device);
  StreamContext(StreamContext&&) noexcept = default;
  StreamContext& operator=(StreamContext&&) noexcept = default;

  aclrtContext context() const { return context_.get(); }
  aclrtStream stream() const { return stream_.get(); }
  /// Whether a failed task stops the stream and fails the whole context. If not, later tasks run,
  /// and the events after the failed task complete without an error. Then only a successful
  /// aclrtSynchronizeStream proves that tasks succeeded.
  bool stops_on_failure() const { return stops_on_failure_; }

  // destroy() and destroy_failed() need this context to be current.

  /// Destroys stream and context. The stream must have been synchronised.
  void destroy();
  /// The same after a failure. Waits for no task, because those after the failed one never run.
  void destroy_failed();
  /// Gives up stream and context without destroying them, because a task on the stream does not
  /// end.
  void abandon();

 private:
  const AclFunctions* acl_ = nullptr;
  ContextHandle context_;
  StreamHandle stream_;  // destroyed before its context
  bool stops_on_failure_ = false;
};

/// A context for a trial of tasks that may fail or never end. They do not affect the device's own
/// context, which becomes the current one again afterwards. To be used on the device's thread
/// (DeviceThread::scratch_context).
class ScratchContext {
 public:
  /// The destructor makes `current` the calling thread's context again. It sets `abandoned` if this
  /// context had to be abandoned.
  ScratchContext(const AclFunctions& acl, int32_t device, aclrtContext current, bool& abandoned);
  ~ScratchContext();
  ScratchContext(const ScratchContext&) = delete;
  ScratchContext& operator=(const ScratchContext&) = delete;

  aclrtStream stream() const { return context_.stream(); }
  /// Waits for the stream's tasks. If a task fails, throws its error. Returns false if the tasks
  /// did not end in time. Then the context is abandoned, and the memory that the tasks use must
  /// never be freed or used again. Without aclrtSynchronizeStreamWithTimeout it waits without a
  /// limit.
  bool synchronise_within(int32_t milliseconds);

 private:
  const AclFunctions& acl_;
  const aclrtContext current_;
  bool& abandoned_;
  bool failed_ = false, hangs_ = false;
  StreamContext context_;
};

}  // namespace latte::ascend
