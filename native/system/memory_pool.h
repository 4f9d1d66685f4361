// Memory for tensors: aligned, huge-page backed if large, reused, bounded.
//
// Memory never goes back to malloc and its addresses are never unmapped: what is over the bound, or
// was not wanted for some seconds, is handed back to the system (it reads as zeros from then on)
// but stays addressable. So a native reader that somebody left behind on a disposed tensor's
// ArrayBuffer cannot fault.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>

#include "system/host_memory.h"

namespace latte::system {

class MemoryPool;

/// A block of a pool, given back when this object is destroyed. Giving it back allocates nothing,
/// and cannot fail.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept : pool_(other.pool_), bytes_(other.bytes_) {
    block_.swap(other.block_);
  }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(bytes_, other.bytes_);
    block_.swap(other.block_);
    return *this;
  }
  ~Memory();

  explicit operator bool() const { return !block_.empty(); }
  /// Null if there is no block.
  void* data() const { return block_.empty() ? nullptr : block_.front().address; }
  size_t bytes() const { return bytes_; }

 private:
  friend class MemoryPool;
  using Clock = std::chrono::steady_clock;
  struct FreeList;
  /// Allocated together with its memory; never destroyed. It moves between a Memory and the pool's
  /// lists, so that nothing has to be allocated, and nothing can be lost, when memory is given
  /// back.
  struct Block {
    void* address;
    FreeList* home;
    Clock::time_point free_since;
  };
  using Blocks = std::list<Block>;
  /// The free blocks of one capacity.
  struct FreeList {
    size_t capacity = 0;
    Blocks resident;  // the longest free first
    Blocks released;  // addressable, but given back to the system
  };

  MemoryPool* pool_ = nullptr;
  size_t bytes_ = 0;
  Blocks block_;  // one, or none
};

class MemoryPool {
 public:
  /// In bytes.
  struct Usage {
    size_t live = 0;    // held by a Memory
    size_t pooled = 0;  // free, and kept for the next ones
    size_t limit = 0;   // the most that `live` may become
  };

  /// A pool for a machine of `total` bytes, in pages of `page`.
  explicit MemoryPool(size_t total = host_memory().total, size_t page = page_size());

  /// At least `bytes`, aligned to 64 (to 2 MiB when that large). Throws ERR_OUT_OF_MEMORY or
  /// std::bad_alloc; the pool is then as it was.
  Memory allocate(size_t bytes);
  Usage usage() const;

 private:
  friend class Memory;
  using Clock = Memory::Clock;
  using FreeList = Memory::FreeList;

  void release(Memory& memory) noexcept;
  void trim(size_t keep) noexcept;
  void give_back(FreeList& list, size_t count) noexcept;
  void start_trimmer() noexcept;
  void trim_idle() noexcept;
  void* carve(size_t capacity);

  const size_t page_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;    // wakes the trimmer
  bool trimming_ = false;            // whether there is one
  std::map<size_t, FreeList> free_;  // by capacity
  char* slab_ = nullptr;             // small blocks are carved from slabs
  size_t slab_left_ = 0;
  Usage usage_;
  size_t keep_;  // how much free memory stays resident; the rest goes back to the system
};

/// The pool of this process; it is never destroyed.
MemoryPool& memory_pool();

}  // namespace latte::system
