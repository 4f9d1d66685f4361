// The memory of CPU tensors: aligned, huge-page backed where large, reused, bounded.
//
// Memory never goes back to malloc and its addresses are never unmapped: what is over the bound, or
// was not wanted for some seconds, is handed back to the system (it reads as zeros from then on)
// but stays addressable. So a native reader that somebody left behind on a disposed tensor's
// ArrayBuffer cannot fault.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/backend.h"

namespace latte::cpu {

class MemoryPool {
 public:
  MemoryPool();

  /// At least `bytes`, aligned to 64 (to 2 MiB when that large). Throws ERR_OUT_OF_MEMORY.
  std::shared_ptr<Buffer> allocate(size_t bytes);
  MemoryUsage usage() const;

 private:
  friend class PooledBuffer;
  using Clock = std::chrono::steady_clock;
  struct FreeBlock {
    void* block;
    Clock::time_point since;
  };
  struct FreeList {
    std::vector<FreeBlock> resident;  // the longest free first
    std::vector<void*> released;      // addressable, but given back to the system
  };

  void release(void* block, size_t capacity);
  void trim(size_t keep);
  void give_back(size_t capacity, FreeList& list, size_t count);
  void start_trimmer();
  void trim_idle();
  void* carve(size_t capacity);

  mutable std::mutex mutex_;
  std::condition_variable freed_;    // wakes the trimmer
  bool trimming_ = false;            // whether there is one
  std::map<size_t, FreeList> free_;  // by capacity
  char* slab_ = nullptr;             // small blocks are carved from slabs
  size_t slab_left_ = 0;
  MemoryUsage usage_;
  size_t keep_;  // how much free memory stays resident; the rest goes back to the system
};

/// The pool of this process; it is never destroyed.
MemoryPool& memory_pool();

}  // namespace latte::cpu
