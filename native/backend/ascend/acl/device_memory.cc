#include "backend/ascend/acl/device_memory.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace latte::ascend {

namespace {

/// Free memory beyond these bounds is given back when the device is idle. For comparison: a
/// PatchEmbed of full size needs 300 MB in float32.
constexpr size_t kKeptDeviceBytes = size_t{2} << 30;
constexpr size_t kKeptPinnedBytes = size_t{512} << 20;

constexpr size_t kProbeBytes = 64;

/// The result of an allocation; null if there is no memory. Throws ERR_DEVICE for other failures.
void* allocated(const AclFunctions& acl, const char* operation, aclError status, void* memory) {
  if (status == ACL_SUCCESS) return memory;
  if (status == ACL_ERROR_RT_MEMORY_ALLOCATION || status == ACL_ERROR_BAD_ALLOC ||
      status == ACL_ERROR_STORAGE_OVER_LIMIT) {
    acl.aclGetRecentErrMsg();  // clears the message, so that no later error carries it
    return nullptr;
  }
  throw device_error(acl, operation, status);
}

}  // namespace

DeviceMemory::DeviceMemory(const AclFunctions& acl, DeviceThread& thread,
                           std::function<void()> before_free)
    : thread_(thread) {
  device_ = std::make_shared<BlockPool>(
      BlockPool::Source{[&acl](size_t bytes) {
                          void* memory = nullptr;
                          const aclError status =
                              acl.aclrtMalloc(&memory, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
                          return allocated(acl, "aclrtMalloc", status, memory);
                        },
                        [&acl](void* memory) { acl.aclrtFree(memory); }, std::move(before_free)},
      kKeptDeviceBytes);
  pinned_ = std::make_shared<BlockPool>(
      BlockPool::Source{[&acl](size_t bytes) {
                          void* memory = nullptr;
                          const aclError status = acl.aclrtMallocHost(&memory, bytes);
                          return allocated(acl, "aclrtMallocHost", status, memory);
                        },
                        [&acl](void* memory) { acl.aclrtFreeHost(memory); },
                        {}},
      kKeptPinnedBytes);
}

std::shared_ptr<Buffer> DeviceMemory::allocate_from(BlockPool& pool, size_t bytes,
                                                    const char* kind) {
  if (auto block = pool.take(bytes)) return block;
  std::shared_ptr<Buffer> block;
  thread_.call([&] { block = pool.take_or_allocate(bytes); });
  if (block == nullptr) {
    fail(ErrorCode::kOutOfMemory, "no ", kind, " memory for ", bytes,
         " bytes, also after the pool of free memory was emptied");
  }
  return block;
}

std::shared_ptr<Buffer> DeviceMemory::allocate(size_t bytes) {
  return allocate_from(*device_, bytes, "device");
}

std::shared_ptr<Buffer> DeviceMemory::allocate_pinned(size_t bytes) {
  return allocate_from(*pinned_, bytes, "pinned host");
}

MemoryUsage DeviceMemory::usage(size_t total) const {
  return {device_->live_bytes(), device_->pooled_bytes(), total};
}

void DeviceMemory::trim() {
  if (device_->has_surplus()) device_->trim(kKeptDeviceBytes);
  if (pinned_->has_surplus()) pinned_->trim(kKeptPinnedBytes);
}

void DeviceMemory::release() {
  device_->trim(0);
  pinned_->trim(0);
}

void DeviceMemory::close() {
  device_->close();
  pinned_->close();
}

void MemoryProbe::write(DeviceThread& thread) {
  LATTE_ACL(acl_, aclrtMalloc, &device_, kProbeBytes, ACL_MEM_MALLOC_HUGE_FIRST);
  LATTE_ACL(acl_, aclrtMallocHost, &pinned_, kProbeBytes);
  auto* bytes = static_cast<uint8_t*>(pinned_);
  for (size_t i = 0; i < kProbeBytes; ++i) bytes[i] = static_cast<uint8_t>(7 * i + 1);
  LATTE_ACL(acl_, aclrtMemcpyAsync, device_, kProbeBytes, pinned_, kProbeBytes,
            ACL_MEMCPY_HOST_TO_DEVICE, thread.stream());
  thread.synchronise();
}

bool MemoryProbe::is_intact(DeviceThread& thread) {
  auto* bytes = static_cast<uint8_t*>(pinned_);
  std::memset(bytes, 0, kProbeBytes);
  LATTE_ACL(acl_, aclrtMemcpyAsync, pinned_, kProbeBytes, device_, kProbeBytes,
            ACL_MEMCPY_DEVICE_TO_HOST, thread.stream());
  thread.synchronise();
  for (size_t i = 0; i < kProbeBytes; ++i) {
    if (bytes[i] != static_cast<uint8_t>(7 * i + 1)) return false;
  }
  return true;
}

void MemoryProbe::close() {
  if (device_ != nullptr) acl_.aclrtFree(std::exchange(device_, nullptr));
  if (pinned_ != nullptr) acl_.aclrtFreeHost(std::exchange(pinned_, nullptr));
}

}  // namespace latte::ascend
