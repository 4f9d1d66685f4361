// Memory that ACL gave, kept for the next time: one pool for a device's memory, one for pinned host
// memory. In the steady state nothing is asked of ACL.
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

class BlockPool : public std::enable_shared_from_this<BlockPool> {
 public:
  /// All run on the device's thread.
  struct Source {
    std::function<void*(size_t bytes)> allocate;  // null where there is no memory left
    std::function<void(void*)> free;
    std::function<void()> before_free;  // of blocks that nobody holds any more; may be empty
  };

  explicit BlockPool(Source source, size_t kept_bytes)
      : source_(std::move(source)), kept_bytes_(kept_bytes) {}

  /// A block from the pool, or null. On any thread.
  std::shared_ptr<Buffer> take(size_t bytes);
  /// A block from the pool or the source; when the source has none the pool is emptied and the
  /// source asked once more. Null when that did not help. On the device's thread.
  std::shared_ptr<Buffer> take_or_allocate(size_t bytes);
  /// Gives free blocks back to the source until at most `kept` bytes are left. On the device's
  /// thread.
  void trim(size_t kept);
  /// Whether more is free than should be kept.
  bool has_surplus() const;
  /// Gives back everything, also what is still held: nothing uses it any more. On the device's
  /// thread. Later releases do nothing.
  void close();

  /// Whether the pool's memory holds [data, data + bytes).
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
    std::vector<void*> free;  // has room for all blocks: giving one back cannot fail
    size_t blocks = 0;        // all blocks of this size, free or in use
  };
  std::map<size_t, SizeClass> classes_;  // by capacity
  std::map<const char*, size_t> all_;    // every block with its capacity
  size_t live_ = 0, pooled_ = 0;
  bool closed_ = false;
};

}  // namespace latte::ascend
