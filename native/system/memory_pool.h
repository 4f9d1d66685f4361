// Memory for tensors: aligned, backed by huge pages if large, reused, and bounded.
//
// Addresses are never unmapped. Free memory goes back to the system if there is too much of it, or
// if it stayed free for some seconds; its addresses stay valid and read as zeros from then on. So
// native code that still reads the ArrayBuffer of a disposed tensor cannot fault.
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

/// A block of a pool. The destructor gives it back, which allocates nothing and cannot fail.
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
  /// One list node for each block, allocated with it and never destroyed. The node moves between a
  /// Memory and the pool's lists, so that giving memory back needs no allocation.
  struct Block {
    void* address;
    FreeList* home;  // the list of its capacity
    Clock::time_point free_since;
  };
  using Blocks = std::list<Block>;
  /// The free blocks of one capacity.
  struct FreeList {
    size_t capacity = 0;
    Blocks resident;  // the block that has been free longest comes first
    Blocks released;  // given back to the system; the addresses are still valid
  };

  MemoryPool* pool_ = nullptr;
  size_t bytes_ = 0;
  Blocks block_;  // one, or none
};

/// Hands out blocks of memory and keeps them for reuse. May be used on any thread.
class MemoryPool {
 public:
  /// In bytes.
  struct Usage {
    size_t live = 0;    // held by a Memory
    size_t pooled = 0;  // free and resident, kept for the next allocations
    size_t limit = 0;   // the most that `live` may become
  };

  /// A pool for a machine with `total` bytes of memory and pages of `page` bytes. It hands out at
  /// most 8/10 of `total`, and keeps at most 1/8 of it free and resident.
  explicit MemoryPool(size_t total = host_memory().total, size_t page = page_size());

  /// At least `bytes`, aligned to 64 bytes, or to 2 MiB from 2 MiB on. Throws ERR_OUT_OF_MEMORY or
  /// std::bad_alloc, and then leaves the pool as it was.
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
  std::condition_variable freed_;    // wakes the trimmer's thread
  bool trimming_ = false;            // whether that thread was started
  std::map<size_t, FreeList> free_;  // by capacity
  char* slab_ = nullptr;             // small blocks are carved from the rest of this slab
  size_t slab_left_ = 0;             // bytes of that rest
  Usage usage_;
  size_t keep_;  // the most of `usage_.pooled`: more goes back to the system
};

/// The pool of this process; it is never destroyed.
MemoryPool& memory_pool();

}  // namespace latte::system
