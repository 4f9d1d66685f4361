#include "backend/cpu/memory_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

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
      block = list.resident.back();
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
  free_[capacity].resident.push_back(block);
  if (usage_.pooled > keep_) trim(keep_);
}

void MemoryPool::trim(size_t keep) {
  // The largest blocks first: they are few, and give back most for one call.
  for (auto entry = free_.rbegin(); entry != free_.rend() && usage_.pooled > keep; ++entry) {
    auto& [capacity, list] = *entry;
    if (capacity < kPage) break;
    while (!list.resident.empty() && usage_.pooled > keep) {
      void* block = list.resident.back();
      list.resident.pop_back();
      // A block of a slab need not begin on a page: give back the whole pages inside it.
      const auto begin = (reinterpret_cast<uintptr_t>(block) + kPage - 1) / kPage * kPage;
      const auto end = (reinterpret_cast<uintptr_t>(block) + capacity) / kPage * kPage;
      if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
      list.released.push_back(block);
      usage_.pooled -= capacity;
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
