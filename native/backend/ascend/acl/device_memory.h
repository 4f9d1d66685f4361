// A device's memory and the pinned host memory beside it, both pooled.
#pragma once

#include <memory>

#include "backend/ascend/acl/block_pool.h"
#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

class DeviceMemory {
 public:
  /// `before_free` runs on the device's thread before device memory that nobody holds is given
  /// back.
  DeviceMemory(const AclFunctions& acl, DeviceThread& thread, std::function<void()> before_free);

  /// Device memory, on any thread; throws ERR_OUT_OF_MEMORY.
  std::shared_ptr<Buffer> allocate(size_t bytes);
  /// Pinned host memory, on the device's thread; throws ERR_OUT_OF_MEMORY.
  std::shared_ptr<Buffer> allocate_pinned(size_t bytes);
  /// Pinned host memory from the pool, or null; on any thread.
  std::shared_ptr<Buffer> take_pinned(size_t bytes) { return pinned_->take(bytes); }
  bool is_pinned(const void* host, size_t bytes) const { return pinned_->owns(host, bytes); }

  MemoryUsage usage(size_t total) const;
  /// Gives back what is free beyond the usual. On the device's thread.
  void trim();
  /// Gives back all that is free. On the device's thread.
  void release();
  /// Gives back everything. On the device's thread.
  void close();

 private:
  std::shared_ptr<Buffer> allocate_from(BlockPool& pool, size_t bytes, const char* kind);

  DeviceThread& thread_;
  std::shared_ptr<BlockPool> device_, pinned_;
};

/// A few bytes of device memory whose content is known. In the runtime's sources device memory
/// outlives a context; no document states it. Weights and results rely on it, so these bytes are
/// read again after each change of context. On the device's thread.
class MemoryProbe {
 public:
  explicit MemoryProbe(const AclFunctions& acl) : acl_(acl) {}

  void write(DeviceThread& thread);
  bool is_intact(DeviceThread& thread);
  void close();

 private:
  const AclFunctions& acl_;
  void* device_ = nullptr;
  void* pinned_ = nullptr;
};

}  // namespace latte::ascend
