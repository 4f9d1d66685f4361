#include "runtime/memory.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/devices.h"
#include "runtime/report.h"

namespace latte::twin {

namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));
constexpr std::byte kSlackPattern{0xa5};
/// The size of one device's address range: so large that addresses are given out once only.
constexpr uint64_t kDeviceRange = uint64_t{64} << 30;
/// "Model of": device memory is allocated in units of 512 bytes. Our kernels may rely only on the
/// 32 bytes that the documentation of aclrtMalloc names.
constexpr size_t kDeviceAlignment = 512;
constexpr size_t kHostAlignment = 64;
constexpr size_t kDefaultLimit = size_t{2} << 30;
constexpr size_t kMostFreedKept = 4096;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

GuardedPages::GuardedPages(size_t bytes, size_t alignment) : bytes_(bytes) {
  const size_t padded = round_up(bytes, alignment);
  const size_t inner = round_up(padded, kPage);
  mapped_ = inner + 2 * kPage;
  void* mapping = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  if (mprotect(mapping_ + kPage, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping_, mapped_);
    throw std::bad_alloc();
  }
  data_ = mapping_ + kPage + inner - padded;
  slack_ = padded - bytes;
  // All bits set is a NaN in every floating dtype, so a read before the first write is noticed.
  std::memset(data_, 0xff, bytes);
  std::memset(data_ + bytes, static_cast<int>(kSlackPattern), slack_);
}

GuardedPages::~GuardedPages() { munmap(mapping_, mapped_); }

bool GuardedPages::slack_is_intact() const {
  for (size_t i = 0; i < slack_; ++i) {
    if (data_[bytes_ + i] != kSlackPattern) return false;
  }
  return true;
}

Memory& Memory::instance() {
  static auto* memory = new Memory;
  return *memory;
}

Memory::Memory()
    : limit_(static_cast<size_t>(environment_number("LATTE_TWIN_MEMORY", kDefaultLimit))) {
  const auto devices = static_cast<uint64_t>(std::max(1, device_count()));
  // Mapped past the sanitizers' mmap: nothing touches this range, so it needs no shadow memory.
  const long range = syscall(SYS_mmap, nullptr, kDeviceRange * devices, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == -1) {
    std::fprintf(stderr, "twin: no address space for device memory\n");
    std::abort();
  }
  range_ = static_cast<uint64_t>(range);
  for (uint64_t device = 0; device < devices; ++device) {
    next_.push_back(range_ + kDeviceRange * device + kPage);
  }
}

uint64_t Memory::allocate(int device, size_t bytes) {
  const std::lock_guard lock(mutex_);
  size_t live = 0;
  for (const auto& [address, allocation] : live_) {
    if (allocation->device == device) live += allocation->bytes;
  }
  if (bytes > limit_ || live > limit_ - bytes) return 0;
  Use allocation;
  try {
    allocation = std::make_shared<DeviceAllocation>(bytes, kDeviceAlignment);
  } catch (const std::bad_alloc&) {
    return 0;
  }
  uint64_t& next = next_[static_cast<size_t>(device)];
  const uint64_t begin = range_ + kDeviceRange * static_cast<uint64_t>(device);
  const size_t span = round_up(bytes, kDeviceAlignment) + kPage;
  // After 64 GiB the range ends. Addresses then begin again, and skip live allocations.
  if (next + span > begin + kDeviceRange) next = begin + kPage;
  for (auto after = live_.lower_bound(begin); after != live_.end(); ++after) {
    const Use& other = after->second;
    if (other->address >= next + span) break;
    if (other->address + other->bytes + kPage <= next) continue;
    next = round_up(other->address + other->bytes + kPage, kDeviceAlignment);
  }
  if (next + span > begin + kDeviceRange) return 0;
  allocation->address = next;
  allocation->device = device;
  next += span;
  live_.emplace(allocation->address, allocation);
  return allocation->address;
}

int Memory::free(void* pointer) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(number(pointer));
  if (found == live_.end()) {
    const Use inside = find(number(pointer));
    const bool freed = freed_.count(number(pointer)) != 0;
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("aclrtFree was given %p, %s", pointer,
                         freed    ? "which is freed already"
                         : inside ? "which is not the beginning of its allocation"
                                  : "which aclrtMalloc did not give"));
  }
  const Use allocation = found->second;
  if (allocation->queued_uses > 0) {
    latte_twin_violation("aclrtFree of device memory %p (%zu bytes) that queued work still uses",
                         pointer, allocation->bytes);
  }
  // "After tasks were captured, their resources must stay valid until the model is destroyed"
  // (hicann/runtime 681ef76, dev_guide/04-01_single_stream_capture.md, restriction 7). A lost
  // device replays nothing any more.
  if (allocation->captured_uses > 0 && !is_lost(allocation->device)) {
    latte_twin_violation("aclrtFree of device memory %p (%zu bytes) that a captured graph uses",
                         pointer, allocation->bytes);
  }
  if (!allocation->pages.slack_is_intact()) {
    latte_twin_violation("device memory %p was written beyond its %zu bytes", pointer,
                         allocation->bytes);
  }
  allocation->freed = true;
  live_.erase(found);
  // Freed allocations are kept for messages only. Their pages are unmapped at the last use.
  if (freed_.size() >= kMostFreedKept) freed_.erase(freed_.begin());
  freed_.emplace(allocation->address, nullptr);
  return ACL_SUCCESS;
}

void* Memory::allocate_host(size_t bytes) {
  HostUse allocation;
  try {
    allocation = std::make_shared<HostAllocation>(bytes, kHostAlignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  void* data = allocation->pages.data();
  host_.emplace(number(data), std::move(allocation));
  return data;
}

int Memory::free_host(void* pointer) {
  const std::lock_guard lock(mutex_);
  const auto found = host_.find(number(pointer));
  if (found == host_.end()) {
    return misuse(
        ACL_ERROR_RT_PARAM_INVALID,
        format("aclrtFreeHost was given %p, which aclrtMallocHost did not give or which is "
               "freed already",
               pointer));
  }
  if (found->second->queued_uses > 0) {
    latte_twin_violation("aclrtFreeHost of %p (%zu bytes), which a queued copy still uses", pointer,
                         found->second->bytes);
  }
  if (!found->second->pages.slack_is_intact()) {
    latte_twin_violation("pinned memory %p was written beyond its %zu bytes", pointer,
                         found->second->bytes);
  }
  host_.erase(found);
  return ACL_SUCCESS;
}

Use Memory::find(uint64_t address) const {
  auto after = live_.upper_bound(address);
  if (after == live_.begin()) return nullptr;
  const Use& allocation = (--after)->second;
  // For a range of no bytes, the address one past the end belongs to the allocation as well.
  return address <= allocation->address + allocation->bytes ? allocation : nullptr;
}

Use Memory::hold(const void* pointer, size_t bytes, std::string& reason) {
  const std::lock_guard lock(mutex_);
  Use allocation = find(number(pointer));
  if (allocation == nullptr) {
    auto after = freed_.upper_bound(number(pointer));
    const bool near_freed = after != freed_.begin();
    reason = !is_device_pointer(pointer) ? "is no device memory"
             : near_freed                ? "is device memory that was freed, or was never allocated"
                                         : "is device memory that was never allocated";
    return nullptr;
  }
  const uint64_t offset = number(pointer) - allocation->address;
  if (bytes > allocation->bytes - offset) {
    reason = format("ends %zu bytes beyond its allocation of %zu bytes",
                    static_cast<size_t>(offset + bytes - allocation->bytes), allocation->bytes);
    return nullptr;
  }
  ++allocation->queued_uses;
  return allocation;
}

void Memory::release(const Use& use) {
  const std::lock_guard lock(mutex_);
  --use->queued_uses;
}

bool Memory::hold_again(const Use& use) {
  const std::lock_guard lock(mutex_);
  if (use->freed) return false;
  ++use->queued_uses;
  return true;
}

void Memory::capture(const Use& use) {
  const std::lock_guard lock(mutex_);
  ++use->captured_uses;
}

void Memory::end_capture(const Use& use) {
  const std::lock_guard lock(mutex_);
  --use->captured_uses;
}

HostUse Memory::hold_host(const void* pointer, size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto after = host_.upper_bound(number(pointer));
  if (after == host_.begin()) return nullptr;
  const auto& [address, allocation] = *--after;
  const uint64_t offset = number(pointer) - address;
  if (offset > allocation->bytes || bytes > allocation->bytes - offset) return nullptr;
  ++allocation->queued_uses;
  return allocation;
}

void Memory::release(const HostUse& use) {
  const std::lock_guard lock(mutex_);
  --use->queued_uses;
}

bool Memory::is_device_pointer(const void* pointer) const {
  return number(pointer) >= range_ && number(pointer) < range_ + kDeviceRange * next_.size();
}

size_t Memory::bytes_from(const void* pointer) const {
  const std::lock_guard lock(mutex_);
  const Use allocation = find(number(pointer));
  return allocation == nullptr ? 0 : allocation->address + allocation->bytes - number(pointer);
}

size_t Memory::limit() const {
  const std::lock_guard lock(mutex_);
  return limit_;
}

void Memory::set_limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

void Memory::overwrite(int device) {
  const std::lock_guard lock(mutex_);
  for (const auto& [address, allocation] : live_) {
    if (allocation->device != device) continue;
    std::memset(allocation->pages.data(), 0xff, allocation->bytes);
  }
}

size_t Memory::live_bytes(int device) const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [address, allocation] : live_) {
    if (device < 0 || allocation->device == device) bytes += allocation->bytes;
  }
  return bytes;
}

size_t Memory::live_count(int device) const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [address, allocation] : live_) {
    if (device < 0 || allocation->device == device) ++count;
  }
  return count;
}

size_t Memory::live_host_count() const {
  const std::lock_guard lock(mutex_);
  return host_.size();
}

size_t Memory::live_host_bytes() const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [address, allocation] : host_) bytes += allocation->bytes;
  return bytes;
}

}  // namespace latte::twin

using latte::twin::Memory;

extern "C" TWIN_EXPORT size_t latte_twin_bytes_from(const void* pointer) {
  return Memory::instance().bytes_from(pointer);
}
