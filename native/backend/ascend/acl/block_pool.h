// Pools of memory from ACL: one for a device's memory, one for pinned host memory. Free blocks are
// kept, so that repeated forwards allocate nothing from ACL.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace latte::ascend {

/// A pool of blocks. Its blocks keep it alive.
class BlockPool : public std::enable_shared_from_this<BlockPool> {
 public:
  /// The source of the pool's memory. Its functions are called on the device's thread.
  struct Source {
    std::function<void*(size_t bytes)> allocate;  // returns null if there is no memory left
    std::function<void(void*)> free;
    std::function<void()> before_free;  // called before free blocks are freed; may be empty
  };

  explicit BlockPool(Source source, size_t kept_bytes)
      : source_(std::move(source)), kept_bytes_(kept_bytes) {}

  /// A free block of the pool, or null. On any thread.
  std::shared_ptr<Buffer> take(size_t bytes);
  /// A free block, or a new one from the source. If the source has no memory, frees all free blocks
  /// and tries the source once more. Null if that does not help. On the device's thread.
  std::shared_ptr<Buffer> take_or_allocate(size_t bytes);
  /// Frees free blocks until at most `kept` bytes of them are left. On the device's thread.
  void trim(size_t kept);
  /// Whether more than `kept_bytes` of the constructor are free.
  bool has_surplus() const;
  /// Frees all blocks, also those in use, which must not be used any more. On the device's thread.
  /// Releases after this do nothing.
  void close();

  /// Whether [data, data + bytes) lies in one block of the pool.
  bool owns(const void* data, size_t bytes) const;
  size_t live_bytes() const;
  size_t pooled_bytes() const;

 private:
  class Block;

  static size_t size_class(size_t bytes);
  void remember(void* memory, size_t capacity);
  std::shared_ptr<Buffer> make_buffer(void* memory, size_t capacity, size_t bytes);
  void release(void* memory, size_t capacity);

  Source source_;
  size_t kept_bytes_;
  mutable std::mutex mutex_;
  struct SizeClass {
    std::vector<void*> free;  // has capacity for all blocks, so that release() cannot fail
    size_t blocks = 0;        // all blocks of this size, free or in use
  };
  std::map<size_t, SizeClass> classes_;  // by capacity
  std::map<const char*, size_t> all_;    // every block with its capacity
  size_t live_ = 0, pooled_ = 0;
  bool closed_ = false;
};

}  // namespace latte::ascend
