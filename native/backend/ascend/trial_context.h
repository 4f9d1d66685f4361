// A context of its own for a trial, with memory on both sides. What a hanging task uses is left to
// it.
#pragma once

#include <cstddef>

#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

class TrialContext {
 public:
  TrialContext(const AclFunctions& acl, DeviceThread& thread)
      : acl_(acl), context_(thread.scratch_context()) {}
  TrialContext(const TrialContext&) = delete;
  /// Waits also for tasks of a trial that has failed: they still use the memory.
  ~TrialContext();

  aclrtStream stream() const { return context_.stream(); }
  /// Once. The same number of bytes on the device, to be copied there, and to be copied back.
  void allocate(size_t bytes);
  std::byte* device() const { return device_; }
  std::byte* host() const { return host_; }
  const std::byte* result() const { return host_ + bytes_; }
  void copy_in() { copy(device_, host_, ACL_MEMCPY_HOST_TO_DEVICE); }
  void copy_out() { copy(host_ + bytes_, device_, ACL_MEMCPY_DEVICE_TO_HOST); }
  /// Whether all tasks end within these milliseconds. Throws the failure of one.
  bool ends_within(int32_t milliseconds);
  /// Nothing that the tasks may use must be given back.
  bool hangs() const { return hangs_; }
  /// To be called before what the tasks use is given back.
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
