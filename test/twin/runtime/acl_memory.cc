// ACL's memory and copies.
#include <cstring>

#include "runtime/stream.h"
#include "runtime/traffic.h"

using namespace latte::twin;

namespace latte::ascend {

namespace {

// ACL_ERROR_RT_ADDR_UNALIGNED, "memory address unaligned" (rt_error_codes.h, 8.1.RC1).
constexpr int kUnaligned = 107008;
/// "The source address and destination address passed to this call must be 64-byte aligned"
/// (application development guide, aclrtMemcpyAsync: 8.0.0 and 8.1.RC1.alpha001, all models).
constexpr uint64_t kCopyAlignment = 64;

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uint64_t>(pointer) % kCopyAlignment == 0;
}

/// FNV-1a over words: shows whether a source changed.
uint64_t checksum(const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t sum = 0xcbf29ce484222325u;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    sum = (sum ^ word) * 0x100000001b3u;
  }
  for (; bytes > 0; --bytes, ++at) sum = (sum ^ *at) * 0x100000001b3u;
  return sum;
}

const char* name_of(aclrtMemcpyKind kind) {
  switch (kind) {
    case ACL_MEMCPY_HOST_TO_DEVICE:
      return "host to device";
    case ACL_MEMCPY_DEVICE_TO_HOST:
      return "device to host";
    case ACL_MEMCPY_DEVICE_TO_DEVICE:
      return "device to device";
  }
  return nullptr;
}

/// Holds the memory that a task uses. Releases it if the task is not queued.
class Holder {
 public:
  Holder(const char* function, Task& task, int device)
      : function_(function), task_(task), device_(device) {}
  ~Holder() {
    if (!kept_) give_back(task_);
  }
  void keep() { kept_ = true; }

  Use device(const void* pointer, size_t bytes, const char* role) {
    std::string reason;
    Use use = Memory::instance().hold(pointer, bytes, reason);
    if (use != nullptr && use->device != device_) {
      reason = format("is of device %d", use->device);
      Memory::instance().release(use);
      use = nullptr;
    }
    if (use == nullptr) {
      misuse(ACL_ERROR_RT_PARAM_INVALID, format("%s: the %s %p (%zu bytes) %s", function_, role,
                                                pointer, bytes, reason.c_str()));
      return nullptr;
    }
    task_.uses.push_back(use);
    return use;
  }

  bool host(const void* pointer, size_t bytes, const char* role) {
    HostUse use = Memory::instance().hold_host(pointer, bytes);
    if (use == nullptr) {
      // "the host memory is not allocated by aclrtMallocHost, this API does not report an error,
      // but an unpredictable error may occur when the task is executed" (guide 8.1.RC1.alpha001,
      // aclrtMemcpyAsync, Atlas training and A2 training): here the error is predictable.
      misuse(ACL_ERROR_RT_PARAM_INVALID,
             format("%s: the %s %p (%zu bytes) is not within pinned memory", function_, role,
                    pointer, bytes));
      return false;
    }
    task_.host_uses.push_back(std::move(use));
    return true;
  }

 private:
  const char* function_;
  Task& task_;
  int device_;
  bool kept_ = false;
};

}  // namespace

extern "C" {

aclError aclrtMalloc(void** memory, size_t bytes, aclrtMemMallocPolicy policy) {
  const Entry entry = enter("aclrtMalloc", Needs::kContext, "allocate");
  if (entry.code != 0) return entry.code;
  if (bytes == 0) return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtMalloc of no bytes");
  if (policy != ACL_MEM_MALLOC_HUGE_FIRST) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtMalloc with an unknown policy");
  }
  const uint64_t address = Memory::instance().allocate(entry.context->device, bytes);
  if (address == 0) {
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                   format("aclrtMalloc: no device memory for %zu bytes", bytes));
  }
  count("device allocations");
  *memory = reinterpret_cast<void*>(address);
  return ACL_SUCCESS;
}

aclError aclrtFree(void* memory) {
  const Entry entry = enter("aclrtFree", Needs::kContextToGiveBack);
  return entry.code != 0 ? entry.code : Memory::instance().free(memory);
}

aclError aclrtMallocHost(void** memory, size_t bytes) {
  const Entry entry = enter("aclrtMallocHost", Needs::kContext, "allocate");
  if (entry.code != 0) return entry.code;
  if (bytes == 0) return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtMallocHost of no bytes");
  *memory = Memory::instance().allocate_host(bytes);
  if (*memory == nullptr) {
    return failure(ACL_ERROR_RT_MEMORY_ALLOCATION,
                   format("aclrtMallocHost: no host memory for %zu bytes", bytes));
  }
  count("host allocations");
  return ACL_SUCCESS;
}

aclError aclrtFreeHost(void* memory) {
  const Entry entry = enter("aclrtFreeHost", Needs::kContextToGiveBack);
  return entry.code != 0 ? entry.code : Memory::instance().free_host(memory);
}

aclError aclrtMemsetAsync(void* memory, size_t most, int32_t value, size_t bytes,
                          aclrtStream stream) {
  const Entry entry = enter("aclrtMemsetAsync", Needs::kContext);
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto target = stream_of(entry, stream, "aclrtMemsetAsync", code);
  if (target == nullptr) return code;
  if (bytes > most) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("aclrtMemsetAsync of %zu bytes into at most %zu", bytes, most));
  }
  Task task;
  task.name = "aclrtMemsetAsync";
  task.injected = entry.injected.code;
  Holder holder("aclrtMemsetAsync", task, target->device());
  // `most` promises a size of the memory, so it must be true, too.
  const Use use = holder.device(memory, most, "memory");
  if (use == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
  std::byte* to = real_address(*use, memory);
  task.run = [to, value, bytes] {
    std::memset(to, value, bytes);
    return 0;
  };
  holder.keep();
  count("memsets");
  move_bytes(target->device(), memory, bytes, 1, 0, true);
  return target->push(std::move(task));
}

aclError aclrtMemcpyAsync(void* to, size_t most, const void* from, size_t bytes,
                          aclrtMemcpyKind kind, aclrtStream stream) {
  const Entry entry = enter("aclrtMemcpyAsync", Needs::kContext, "copy");
  if (entry.code != 0) return entry.code;
  int code = 0;
  const auto target = stream_of(entry, stream, "aclrtMemcpyAsync", code);
  if (target == nullptr) return code;
  const char* kind_name = name_of(kind);
  if (kind_name == nullptr) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtMemcpyAsync of an unknown kind");
  }
  if (bytes > most) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID,
                  format("aclrtMemcpyAsync of %zu bytes into at most %zu", bytes, most));
  }
  if (!is_aligned(to) || !is_aligned(from)) {
    return misuse(kUnaligned, format("aclrtMemcpyAsync (%s) from %p to %p: addresses must be "
                                     "multiples of 64",
                                     kind_name, from, to));
  }
  Task task;
  task.name = "aclrtMemcpyAsync";
  task.injected = entry.injected.code;
  Holder holder("aclrtMemcpyAsync", task, target->device());
  std::byte* destination = static_cast<std::byte*>(to);
  const std::byte* source = static_cast<const std::byte*>(from);
  if (kind == ACL_MEMCPY_HOST_TO_DEVICE) {
    if (!holder.host(from, bytes, "source")) return ACL_ERROR_RT_PARAM_INVALID;
  } else {
    const Use use = holder.device(from, bytes, "source");
    if (use == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
    source = real_address(*use, from);
  }
  if (kind == ACL_MEMCPY_DEVICE_TO_HOST) {
    if (!holder.host(to, most, "destination")) return ACL_ERROR_RT_PARAM_INVALID;
    // Code that reads the destination before it synchronises the stream must not find the bytes
    // there.
    std::memset(to, 0xff, bytes);
  } else {
    const Use use = holder.device(to, most, "destination");
    if (use == nullptr) return ACL_ERROR_RT_PARAM_INVALID;
    destination = real_address(*use, to);
  }
  if (destination < source + bytes && source < destination + bytes) {
    return misuse(ACL_ERROR_RT_PARAM_INVALID, "aclrtMemcpyAsync: source and destination overlap");
  }
  const bool from_host = kind == ACL_MEMCPY_HOST_TO_DEVICE;
  const uint64_t sum = from_host ? checksum(source, bytes) : 0;
  task.run = [=] {
    if (from_host && checksum(source, bytes) != sum) {
      latte_twin_violation("the source %p (%zu bytes) of a queued copy was changed", from, bytes);
    }
    std::memcpy(destination, source, bytes);
    return 0;
  };
  holder.keep();
  count("copies");
  count(format("copies %s", kind_name));
  count("copied bytes", static_cast<int64_t>(bytes));
  if (kind == ACL_MEMCPY_DEVICE_TO_DEVICE) {
    move_bytes(target->device(), from, bytes, 1, 0, false);
    move_bytes(target->device(), to, bytes, 1, 0, true);
  }
  return target->push(std::move(task));
}
}

}  // namespace latte::ascend
