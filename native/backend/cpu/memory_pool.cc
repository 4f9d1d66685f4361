#include "backend/cpu/memory_pool.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>

#include "backend/cpu/control_group.h"

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

namespace latte::cpu {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSlab = size_t{4} << 20;
constexpr size_t kLargestInSlab = size_t{512} << 10;
constexpr size_t kPage = 4096;

/// A block that was free for so long goes back to the system. Denoising steps follow one another
/// within seconds; and to touch 151 MB anew costs some 20 ms.
constexpr auto kIdle = std::chrono::seconds(5);
/// Blocks of a slab are not worth a system call: they go only where the bound demands it.
constexpr size_t kIdleBlock = kLargestInSlab + 1;

/// Capacities come in four steps per doubling, so that blocks are reused for sizes nearby.
size_t capacity_for(size_t bytes) {
  bytes = std::max(bytes, kAlignment);
  const size_t step = std::max(std::bit_ceil(bytes) / 8, kAlignment);
  size_t capacity = (bytes + step - 1) / step * step;
  if (capacity >= kHugePage) capacity = (capacity + kHugePage - 1) / kHugePage * kHugePage;
  return capacity;
}

/// The machine's memory, or what the process's control groups leave of it.
size_t machine_memory() {
  const double pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  const double bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  return static_cast<size_t>(std::min(bytes, control_group_memory()));
}

void* map_aligned(size_t bytes) {
  // Over-allocate by one huge page: where the kernel aligned the block, nothing of it is touched.
  void* raw = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(raw);
  void* block = reinterpret_cast<void*>((address + kHugePage - 1) / kHugePage * kHugePage);
  madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

}  // namespace

class PooledBuffer final : public Buffer {
 public:
  PooledBuffer(MemoryPool* pool, void* block, size_t bytes, size_t capacity)
      : pool_(pool), block_(block), bytes_(bytes), capacity_(capacity) {}
  ~PooledBuffer() override { pool_->release(block_, capacity_); }
  PooledBuffer(const PooledBuffer&) = delete;
  PooledBuffer& operator=(const PooledBuffer&) = delete;

  void* data() const override { return block_; }
  size_t bytes() const override { return bytes_; }

 private:
  MemoryPool* pool_;
  void* block_;
  size_t bytes_;
  size_t capacity_;
};

MemoryPool::MemoryPool() {
  const size_t machine = machine_memory();
  usage_.limit = machine / 10 * 8;
  keep_ = machine / 8;
}

std::shared_ptr<Buffer> MemoryPool::allocate(size_t bytes) {
  // The comparison comes before the rounding, which could overflow.
  if (bytes > usage_.limit) {
    fail(ErrorCode::kOutOfMemory, "a tensor of ", bytes, " bytes is larger than the limit of ",
         usage_.limit, " bytes for all tensors");
  }
  const size_t capacity = capacity_for(bytes);
  void* block = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (usage_.live + capacity > usage_.limit) {
      fail(ErrorCode::kOutOfMemory, "no memory for a tensor of ", bytes, " bytes: ", usage_.live,
           " of at most ", usage_.limit, " bytes are in use; dispose tensors that are done with");
    }
    FreeList& list = free_[capacity];
    if (!list.resident.empty()) {
      block = list.resident.back().block;
      list.resident.pop_back();
      usage_.pooled -= capacity;
    } else if (!list.released.empty()) {
      block = list.released.back();
      list.released.pop_back();
    } else {
      block = carve(capacity);
    }
    usage_.live += capacity;
  }
  ASAN_UNPOISON_MEMORY_REGION(block, bytes);
  return std::make_shared<PooledBuffer>(this, block, bytes, capacity);
}

void* MemoryPool::carve(size_t capacity) {
  void* block = nullptr;
  if (capacity > kLargestInSlab) {
    block = map_aligned(capacity);
  } else {
    if (slab_left_ < capacity) {
      // What is left of the old slab is less than the largest small block: let it be.
      slab_ = static_cast<char*>(map_aligned(kSlab));
      slab_left_ = slab_ == nullptr ? 0 : kSlab;
    }
    if (slab_ != nullptr) {
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

void MemoryPool::release(void* block, size_t capacity) {
  ASAN_POISON_MEMORY_REGION(block, capacity);
  const std::lock_guard lock(mutex_);
  usage_.live -= capacity;
  usage_.pooled += capacity;
  free_[capacity].resident.push_back({block, Clock::now()});
  if (usage_.pooled > keep_) trim(keep_);
  if (capacity >= kIdleBlock) start_trimmer();
}

/// Gives the `count` longest free blocks of a list back to the system.
void MemoryPool::give_back(size_t capacity, FreeList& list, size_t count) {
  const auto end_of_old = list.resident.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto free = list.resident.begin(); free != end_of_old; ++free) {
    // A block of a slab need not begin on a page: give back the whole pages inside it.
    const auto begin = (reinterpret_cast<uintptr_t>(free->block) + kPage - 1) / kPage * kPage;
    const auto end = (reinterpret_cast<uintptr_t>(free->block) + capacity) / kPage * kPage;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    list.released.push_back(free->block);
    usage_.pooled -= capacity;
  }
  list.resident.erase(list.resident.begin(), end_of_old);
}

void MemoryPool::trim(size_t keep) {
  // The largest blocks first: they are few, and give back most for one call.
  for (auto entry = free_.rbegin(); entry != free_.rend() && usage_.pooled > keep; ++entry) {
    auto& [capacity, list] = *entry;
    if (capacity < kPage) break;
    const size_t wanted = (usage_.pooled - keep + capacity - 1) / capacity;
    give_back(capacity, list, std::min(wanted, list.resident.size()));
  }
}

/// The trimmer sleeps for as long as no large block is free. Node ends a process by exit(), which
/// does not wait for detached threads, and the pool, which is never destroyed, outlives them.
void MemoryPool::start_trimmer() {
  if (!trimming_) {
    try {
      std::thread([this] { trim_idle(); }).detach();
      trimming_ = true;
    } catch (const std::system_error&) {
      return;  // no thread to be had: the bound alone limits what stays
    }
  }
  freed_.notify_one();
}

void MemoryPool::trim_idle() {
  pthread_setname_np(pthread_self(), "latte-trimmer");
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto now = Clock::now();
    auto oldest = Clock::time_point::max();
    for (auto entry = free_.lower_bound(kIdleBlock); entry != free_.end(); ++entry) {
      auto& [capacity, list] = *entry;
      const auto young = std::ranges::find_if(
          list.resident, [&](const FreeBlock& free) { return free.since + kIdle > now; });
      give_back(capacity, list, static_cast<size_t>(young - list.resident.begin()));
      if (!list.resident.empty()) oldest = std::min(oldest, list.resident.front().since);
    }
    if (oldest == Clock::time_point::max()) {
      freed_.wait(lock);
    } else {
      // Not waited for by its condition: blocks that become free meanwhile are younger.
      lock.unlock();
      std::this_thread::sleep_until(oldest + kIdle);
      lock.lock();
    }
  }
}

MemoryUsage MemoryPool::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

MemoryPool& memory_pool() {
  static auto* pool = new MemoryPool;
  return *pool;
}

}  // namespace latte::cpu
