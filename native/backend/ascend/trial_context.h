// A context for a trial of kernels or captures, with memory on the device and on the host.
#pragma once

#include <cstddef>

#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

/// If a task hangs, the context and the memory are never given back, because the task may use them.
class TrialContext {
 public:
  TrialContext(const AclFunctions& acl, DeviceThread& thread)
      : acl_(acl), context_(thread.scratch_context()) {}
  TrialContext(const TrialContext&) = delete;
  /// Waits for the tasks of a trial that has failed, too: they still use the memory.
  ~TrialContext();

  aclrtStream stream() const { return context_.stream(); }
  /// Allocates `bytes` on the device, and twice as many on the host: for host(), which is copied to
  /// the device, and for result(), which is copied back. To be called once.
  void allocate(size_t bytes);
  std::byte* device() const { return device_; }
  std::byte* host() const { return host_; }
  const std::byte* result() const { return host_ + bytes_; }
  void copy_in() { copy(device_, host_, ACL_MEMCPY_HOST_TO_DEVICE); }
  void copy_out() { copy(host_ + bytes_, device_, ACL_MEMCPY_DEVICE_TO_HOST); }
  /// Waits for all tasks; returns whether they end within so many milliseconds. If a task fails,
  /// throws its error.
  bool ends_within(int32_t milliseconds);
  /// Whether the tasks did not end in time. Then nothing that they may use must be given back.
  bool hangs() const { return hangs_; }
  /// Waits for all tasks, however long that takes. To be called before what they use is given back.
  void wait();

 private:
  void copy(void* to, const void* from, aclrtMemcpyKind kind);

  const AclFunctions& acl_;
  ScratchContext context_;
  std::byte* device_ = nullptr;
  std::byte* host_ = nullptr;
  size_t bytes_ = 0;
  bool hangs_ = false;
};

}  // namespace latte::ascend
