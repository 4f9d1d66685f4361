#include "system/memory_pool.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <iterator>
#include <thread>

#include "core/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define LATTE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LATTE_ASAN 1
#endif
#endif
#ifdef LATTE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace latte::system {

namespace {

constexpr size_t kAlignment = 64;                     // bytes: a cache line
constexpr size_t kSlab = size_t{4} << 20;             // bytes of a slab
constexpr size_t kLargestInSlab = size_t{512} << 10;  // larger blocks are mapped one by one

/// A block that was free for so long goes back to the system. Denoising steps follow one another
/// within seconds, and touching 151 MB of new pages costs about 20 ms.
constexpr auto kIdle = std::chrono::seconds(5);
/// The smallest block that goes back because it is idle. Blocks of a slab are not worth a system
/// call: they go back only if too much memory is free.
constexpr size_t kIdleBlock = kLargestInSlab + 1;

/// The size of the block for `bytes`. There are four sizes per doubling, so that a block is reused
/// for similar sizes.
size_t capacity_for(size_t bytes) {
  bytes = std::max(bytes, kAlignment);
  const size_t step = std::max(std::bit_ceil(bytes) / 8, kAlignment);
  size_t capacity = (bytes + step - 1) / step * step;
  if (capacity >= kHugePage) capacity = (capacity + kHugePage - 1) / kHugePage * kHugePage;
  return capacity;
}

}  // namespace

Memory::~Memory() {
  if (!block_.empty()) pool_->release(*this);
}

MemoryPool::MemoryPool(size_t total, size_t page) : page_(page), keep_(total / 8) {
  usage_.limit = total / 10 * 8;
}

Memory MemoryPool::allocate(size_t bytes) {
  // Compare before rounding up, which could overflow.
  if (bytes > usage_.limit) {
    fail(ErrorCode::kOutOfMemory, "a tensor of ", bytes, " bytes is larger than the limit of ",
         usage_.limit, " bytes for all tensors");
  }
  const size_t capacity = capacity_for(bytes);
  Memory memory;
  memory.bytes_ = bytes;
  {
    const std::lock_guard lock(mutex_);
    if (usage_.live + capacity > usage_.limit) {
      fail(ErrorCode::kOutOfMemory, "no memory for a tensor of ", bytes, " bytes: ", usage_.live,
           " of at most ", usage_.limit, " bytes are in use; dispose tensors that are done with");
    }
    FreeList& list = free_[capacity];
    list.capacity = capacity;
    if (!list.resident.empty()) {
      memory.block_.splice(memory.block_.begin(), list.resident, std::prev(list.resident.end()));
      usage_.pooled -= capacity;
    } else if (!list.released.empty()) {
      memory.block_.splice(memory.block_.begin(), list.released, std::prev(list.released.end()));
    } else {
      Memory::Blocks block(1, {nullptr, &list, {}});
      block.front().address = carve(capacity);
      memory.block_.swap(block);
    }
    // Set last: the destructor of a Memory without a block gives nothing back.
    memory.pool_ = this;
    usage_.live += capacity;
  }
  ASAN_UNPOISON_MEMORY_REGION(memory.data(), bytes);
  return memory;
}

void* MemoryPool::carve(size_t capacity) {
  void* block = nullptr;
  if (capacity > kLargestInSlab) {
    block = map_memory(capacity);
  } else {
    if (slab_left_ < capacity) {
      // The rest of the old slab, less than kLargestInSlab, is never used.
      if (void* slab = map_memory(kSlab)) {
        slab_ = static_cast<char*>(slab);
        slab_left_ = kSlab;
      }
    }
    if (slab_left_ >= capacity) {
      block = slab_;
      slab_ += capacity;
      slab_left_ -= capacity;
    }
  }
  if (block == nullptr) {
    fail(ErrorCode::kOutOfMemory, "the system has no memory for a tensor of ", capacity, " bytes");
  }
  ASAN_POISON_MEMORY_REGION(block, capacity);
  return block;
}

void MemoryPool::release(Memory& memory) noexcept {
  Memory::Block& block = memory.block_.front();
  FreeList& list = *block.home;
  ASAN_POISON_MEMORY_REGION(block.address, list.capacity);
  const std::lock_guard lock(mutex_);
  block.free_since = Clock::now();
  list.resident.splice(list.resident.end(), memory.block_);
  usage_.live -= list.capacity;
  usage_.pooled += list.capacity;
  if (usage_.pooled > keep_) trim(keep_);
  if (list.capacity >= kIdleBlock) start_trimmer();
}

/// Gives back to the system the `count` blocks of a list that have been free longest.
void MemoryPool::give_back(FreeList& list, size_t count) noexcept {
  for (; count > 0; --count) {
    // A block of a slab need not begin on a page, so only the whole pages inside it go back.
    give_back_pages(whole_pages(reinterpret_cast<uintptr_t>(list.resident.front().address),
                                list.capacity, page_));
    list.released.splice(list.released.end(), list.resident, list.resident.begin());
    usage_.pooled -= list.capacity;
  }
}

void MemoryPool::trim(size_t keep) noexcept {
  // The largest blocks go first: each system call then gives back the most.
  for (auto entry = free_.rbegin(); entry != free_.rend() && usage_.pooled > keep; ++entry) {
    auto& [capacity, list] = *entry;
    if (capacity < 2 * page_) break;  // such a block may contain no whole page
    const size_t wanted = (usage_.pooled - keep + capacity - 1) / capacity;
    give_back(list, std::min(wanted, list.resident.size()));
  }
}

/// Starts the trimmer's thread if there is none, and wakes it. The thread is detached: Node ends a
/// process by exit(), which does not wait for detached threads, and the pool is never destroyed.
void MemoryPool::start_trimmer() noexcept {
  if (!trimming_) {
    try {
      std::thread([this] { trim_idle(); }).detach();
      trimming_ = true;
    } catch (const std::exception&) {
      return;  // no thread, or no memory for one: then only `keep_` bounds what stays resident
    }
  }
  freed_.notify_one();
}

void MemoryPool::trim_idle() noexcept {
  pthread_setname_np(pthread_self(), "latte-trimmer");
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto now = Clock::now();
    auto oldest = Clock::time_point::max();
    for (auto entry = free_.lower_bound(kIdleBlock); entry != free_.end(); ++entry) {
      FreeList& list = entry->second;
      const auto young = std::ranges::find_if(list.resident, [&](const Memory::Block& block) {
        return block.free_since + kIdle > now;
      });
      give_back(list, static_cast<size_t>(std::distance(list.resident.begin(), young)));
      if (!list.resident.empty()) oldest = std::min(oldest, list.resident.front().free_since);
    }
    if (oldest == Clock::time_point::max()) {
      freed_.wait(lock);
    } else {
      // No block needs an earlier wake-up: one that becomes free meanwhile is trimmed later than
      // `oldest`.
      lock.unlock();
      std::this_thread::sleep_until(oldest + kIdle);
      lock.lock();
    }
  }
}

MemoryPool::Usage MemoryPool::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

MemoryPool& memory_pool() {
  static auto* pool = new MemoryPool;
  return *pool;
}

}  // namespace latte::system
