#include "backend/ascend/device_memory.h"

namespace latte::ascend {

namespace {

/// Free memory beyond this is given back when the device has nothing to do. A full-size PatchEmbed
/// needs 300 MB in float32.
constexpr size_t kKeptDeviceBytes = size_t{2} << 30;
constexpr size_t kKeptPinnedBytes = size_t{512} << 20;

/// null for "no memory"; every other failure is an error of its own.
void* allocated(const AclFunctions& acl, const char* operation, aclError status, void* memory) {
  if (status == ACL_SUCCESS) return memory;
  if (status == ACL_ERROR_RT_MEMORY_ALLOCATION || status == ACL_ERROR_BAD_ALLOC ||
      status == ACL_ERROR_STORAGE_OVER_LIMIT) {
    acl.aclGetRecentErrMsg();  // read, so that it is not taken for the next failure's
    return nullptr;
  }
  throw device_error(acl, operation, status);
}

}  // namespace

DeviceMemory::DeviceMemory(const AclFunctions& acl, DeviceThread& thread) : thread_(thread) {
  device_ = std::make_shared<BlockPool>(
      BlockPool::Source{[&acl](size_t bytes) {
                          void* memory = nullptr;
                          const aclError status =
                              acl.aclrtMalloc(&memory, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
                          return allocated(acl, "aclrtMalloc", status, memory);
                        },
                        [&acl](void* memory) { acl.aclrtFree(memory); }},
      kKeptDeviceBytes);
  pinned_ = std::make_shared<BlockPool>(
      BlockPool::Source{[&acl](size_t bytes) {
                          void* memory = nullptr;
                          const aclError status = acl.aclrtMallocHost(&memory, bytes);
                          return allocated(acl, "aclrtMallocHost", status, memory);
                        },
                        [&acl](void* memory) { acl.aclrtFreeHost(memory); }},
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

void DeviceMemory::close() {
  device_->close();
  pinned_->close();
}

}  // namespace latte::ascend
