#include "backend/ascend/acl/block_pool.h"

#include <algorithm>

namespace latte::ascend {

/// A block in use. The destructor gives it back to the pool, on any thread, without a call of ACL.
class BlockPool::Block final : public Buffer {
 public:
  Block(std::shared_ptr<BlockPool> pool, void* memory, size_t capacity, size_t bytes)
      : pool_(std::move(pool)), memory_(memory), capacity_(capacity), bytes_(bytes) {}
  ~Block() override { pool_->release(memory_, capacity_); }
  void* data() const override { return memory_; }
  size_t bytes() const override { return bytes_; }

 private:
  std::shared_ptr<BlockPool> pool_;
  void* memory_;
  size_t capacity_, bytes_;
};

size_t BlockPool::size_class(size_t bytes) {
  // Steps of a quarter of a power of two: at most a fifth of a block is wasted, and blocks are
  // reused for similar sizes.
  constexpr size_t kLeast = 512;
  if (bytes <= kLeast) return kLeast;
  size_t power = kLeast;
  while (power * 2 < bytes) power *= 2;
  const size_t step = std::max(power / 4, kLeast);
  return (bytes + step - 1) / step * step;
}

std::shared_ptr<Buffer> BlockPool::make_buffer(void* memory, size_t capacity, size_t bytes) {
  try {
    return std::make_shared<Block>(shared_from_this(), memory, capacity, bytes);
  } catch (...) {
    release(memory, capacity);
    throw;
  }
}

std::shared_ptr<Buffer> BlockPool::take(size_t bytes) {
  const size_t capacity = size_class(bytes);
  void* memory = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = classes_.find(capacity);
    if (closed_ || found == classes_.end() || found->second.free.empty()) return nullptr;
    memory = found->second.free.back();
    found->second.free.pop_back();
    pooled_ -= capacity;
    live_ += capacity;
  }
  return make_buffer(memory, capacity, bytes);
}

std::shared_ptr<Buffer> BlockPool::take_or_allocate(size_t bytes) {
  if (auto block = take(bytes)) return block;
  const size_t capacity = size_class(bytes);
  void* memory = source_.allocate(capacity);
  if (memory == nullptr) {
    trim(0);
    memory = source_.allocate(capacity);
    if (memory == nullptr) return nullptr;
  }
  try {
    remember(memory, capacity);
  } catch (...) {
    source_.free(memory);
    throw;
  }
  return make_buffer(memory, capacity, bytes);
}

/// Adds a new block that is in use. If it throws std::bad_alloc, it changes nothing.
void BlockPool::remember(void* memory, size_t capacity) {
  const std::lock_guard lock(mutex_);
  SizeClass& of = classes_[capacity];
  if (of.free.capacity() <= of.blocks) of.free.reserve(2 * of.blocks + 1);
  all_.emplace(static_cast<const char*>(memory), capacity);
  ++of.blocks;
  live_ += capacity;
}

void BlockPool::release(void* memory, size_t capacity) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  live_ -= capacity;
  pooled_ += capacity;
  classes_.find(capacity)->second.free.push_back(memory);
}

bool BlockPool::has_surplus() const {
  const std::lock_guard lock(mutex_);
  return pooled_ > kept_bytes_;
}

void BlockPool::trim(size_t kept) {
  std::vector<void*> surplus;
  {
    const std::lock_guard lock(mutex_);
    surplus.reserve(all_.size());
    // The largest blocks go first: that takes the fewest calls, and helps most if memory is short.
    for (auto entry = classes_.rbegin(); entry != classes_.rend(); ++entry) {
      auto& [capacity, of] = *entry;
      while (pooled_ > kept && !of.free.empty()) {
        surplus.push_back(of.free.back());
        all_.erase(static_cast<const char*>(of.free.back()));
        of.free.pop_back();
        --of.blocks;
        pooled_ -= capacity;
      }
    }
  }
  if (!surplus.empty() && source_.before_free) source_.before_free();
  for (void* memory : surplus) source_.free(memory);
}

void BlockPool::close() {
  std::map<const char*, size_t> all;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    all.swap(all_);
    classes_.clear();
    live_ = pooled_ = 0;
  }
  for (const auto& [memory, capacity] : all) source_.free(const_cast<char*>(memory));
}

bool BlockPool::owns(const void* data, size_t bytes) const {
  const auto* begin = static_cast<const char*>(data);
  const std::lock_guard lock(mutex_);
  auto after = all_.upper_bound(begin);
  if (after == all_.begin()) return false;
  const auto& [memory, capacity] = *--after;
  return begin + bytes <= memory + capacity;
}

size_t BlockPool::live_bytes() const {
  const std::lock_guard lock(mutex_);
  return live_;
}

size_t BlockPool::pooled_bytes() const {
  const std::lock_guard lock(mutex_);
  return pooled_;
}

}  // namespace latte::ascend
