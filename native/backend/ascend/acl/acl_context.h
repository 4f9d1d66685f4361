// A context with one stream. A failed task ends both: an Ascend device recovers in a new context.
#pragma once

#include "backend/ascend/acl/acl_handle.h"

namespace latte::ascend {

class StreamContext {
 public:
  StreamContext() = default;
  /// Creates both. The context becomes the calling thread's current one.
  StreamContext(const AclFunctions& acl, int32_t device);
  StreamContext(StreamContext&&) noexcept = default;
  StreamContext& operator=(StreamContext&&) noexcept = default;

  aclrtContext context() const { return context_.get(); }
  aclrtStream stream() const { return stream_.get(); }
  /// Whether a failed task stops the stream and fails the whole context. If not, later tasks run,
  /// and the events behind the failed one complete without an error: then a successful
  /// aclrtSynchronizeStream is the only proof that tasks succeeded.
  bool stops_on_failure() const { return stops_on_failure_; }

  // destroy() and destroy_failed() need this context to be current.

  /// Destroys stream and context. The stream must have been synchronised.
  void destroy();
  /// The same after a failure: waits for no task, since those behind the failed one never run.
  void destroy_failed();
  /// Leaves stream and context to the end of the process: a task on the stream does not end.
  void abandon();

 private:
  const AclFunctions* acl_ = nullptr;
  ContextHandle context_;
  StreamHandle stream_;  // goes before its context
  bool stops_on_failure_ = false;
};

/// A context for one trial of work that may fail or never end: nothing of it touches the device's
/// own context, which is the current one again afterwards. To be used on the device's thread
/// (DeviceThread::scratch_context).
class ScratchContext {
 public:
  /// `current` becomes the calling thread's context again at the end. `abandoned` is set if the
  /// context had to be abandoned.
  ScratchContext(const AclFunctions& acl, int32_t device, aclrtContext current, bool& abandoned);
  ~ScratchContext();
  ScratchContext(const ScratchContext&) = delete;
  ScratchContext& operator=(const ScratchContext&) = delete;

  aclrtStream stream() const { return context_.stream(); }
  /// Waits for the stream's tasks. Returns false if they did not end in time: the context is then
  /// abandoned, and the memory that the tasks use must never be freed or used again. Throws the
  /// failure of a task. (Runtimes without aclrtSynchronizeStreamWithTimeout wait without a limit.)
  bool synchronise_within(int32_t milliseconds);

 private:
  const AclFunctions& acl_;
  const aclrtContext current_;
  bool& abandoned_;
  bool failed_ = false, hangs_ = false;
  StreamContext context_;
};

}  // namespace latte::ascend
