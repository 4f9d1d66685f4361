// A device's memory and its pinned host memory, both from pools.
#pragma once

#include <memory>

#include "backend/ascend/acl/block_pool.h"
#include "backend/ascend/acl/device_thread.h"

namespace latte::ascend {

/// The two pools of a device.
class DeviceMemory {
 public:
  /// before_free() is called on the device's thread before free device memory is given back to ACL.
  DeviceMemory(const AclFunctions& acl, DeviceThread& thread, std::function<void()> before_free);

  /// Device memory, on any thread; throws ERR_OUT_OF_MEMORY.
  std::shared_ptr<Buffer> allocate(size_t bytes);
  /// Pinned host memory, on the device's thread; throws ERR_OUT_OF_MEMORY.
  std::shared_ptr<Buffer> allocate_pinned(size_t bytes);
  /// Pinned host memory from the pool, or null; on any thread.
  std::shared_ptr<Buffer> take_pinned(size_t bytes) { return pinned_->take(bytes); }
  /// Whether all of this host memory is pinned memory of this device.
  bool is_pinned(const void* host, size_t bytes) const { return pinned_->owns(host, bytes); }

  /// `total` is the device's memory in bytes, which becomes the limit.
  MemoryUsage usage(size_t total) const;
  /// Gives free memory back to ACL until the pools keep no more than their bounds. On the device's
  /// thread.
  void trim();
  /// Gives all free memory back. On the device's thread.
  void release();
  /// Gives all memory back, also what is in use. On the device's thread.
  void close();

 private:
  std::shared_ptr<Buffer> allocate_from(BlockPool& pool, size_t bytes, const char* kind);

  DeviceThread& thread_;
  std::shared_ptr<BlockPool> device_, pinned_;
};

/// A few bytes of device memory whose content is known. Weights and results must outlive a context.
/// By the runtime's sources device memory does, but no document states it. So these bytes are
/// read again after each change of context. Used on the device's thread.
class MemoryProbe {
 public:
  explicit MemoryProbe(const AclFunctions& acl) : acl_(acl) {}

  /// Allocates the bytes and writes them.
  void write(DeviceThread& thread);
  /// Whether the bytes are still there.
  bool is_intact(DeviceThread& thread);
  /// Frees the bytes.
  void close();

 private:
  const AclFunctions& acl_;
  void* device_ = nullptr;
  void* pinned_ = nullptr;
};

}  // namespace latte::ascend
