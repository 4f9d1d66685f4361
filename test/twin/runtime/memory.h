// The memory of the simulated devices. Device pointers lie in address ranges where nothing is
// mapped, so dereferencing one on the host faults. Their bytes lie elsewhere, between guard pages.
// Code reaches these by translation, which checks every access against its allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace latte::twin {

/// Host pages between two guard pages. The bytes end at the second one, except for the slack that
/// `alignment` leaves. The slack is filled with a pattern, which is checked at the end.
class GuardedPages {
 public:
  GuardedPages(size_t bytes, size_t alignment);  // throws std::bad_alloc
  ~GuardedPages();
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  std::byte* data() const { return data_; }
  bool slack_is_intact() const;

 private:
  std::byte* mapping_ = nullptr;
  size_t mapped_ = 0;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0, slack_ = 0;
};

struct DeviceAllocation {
  DeviceAllocation(size_t size, size_t alignment) : bytes(size), pages(size, alignment) {}
  uint64_t address = 0;
  size_t bytes;
  int device = 0;
  int queued_uses = 0;    // guarded by the memory's mutex
  int captured_uses = 0;  // likewise: by graphs, which may run again
  bool freed = false;     // likewise
  GuardedPages pages;
};

struct HostAllocation {
  HostAllocation(size_t size, size_t alignment) : bytes(size), pages(size, alignment) {}
  size_t bytes;
  int queued_uses = 0;  // guarded by the memory's mutex
  GuardedPages pages;
};

using Use = std::shared_ptr<DeviceAllocation>;
using HostUse = std::shared_ptr<HostAllocation>;

class __attribute__((visibility("default"))) Memory {
 public:
  /// The only object of the process; never destroyed.
  static Memory& instance();

  /// Returns an address, or 0 if the device has too little memory left.
  uint64_t allocate(int device, size_t bytes);
  /// Returns an ACL code.
  int free(void* pointer);
  void* allocate_host(size_t bytes);
  int free_host(void* pointer);

  /// Holds the live allocation with these bytes until release(). Returns null, with the reason in
  /// `reason`, if there is none.
  Use hold(const void* pointer, size_t bytes, std::string& reason);
  void release(const Use& use);
  /// Holds memory once more, if it was not freed; returns whether it did.
  bool hold_again(const Use& use);
  void capture(const Use& use);
  void end_capture(const Use& use);
  HostUse hold_host(const void* pointer, size_t bytes);
  void release(const HostUse& use);

  bool is_device_pointer(const void* pointer) const;
  size_t bytes_from(const void* pointer) const;
  size_t limit() const;
  void set_limit(size_t bytes);
  /// Fills all memory of a device with NaNs.
  void overwrite(int device);
  size_t live_bytes(int device) const;  // -1: all
  size_t live_count(int device) const;
  size_t live_host_count() const;
  size_t live_host_bytes() const;

 private:
  Memory();
  Use find(uint64_t address) const;

  mutable std::mutex mutex_;
  uint64_t range_ = 0;  // of all devices
  std::vector<uint64_t> next_;
  size_t limit_;
  std::map<uint64_t, Use> live_, freed_;
  std::map<uint64_t, HostUse> host_;
};

/// The host address of a pointer into a held allocation.
inline std::byte* real_address(const DeviceAllocation& allocation, const void* pointer) {
  return allocation.pages.data() + (reinterpret_cast<uint64_t>(pointer) - allocation.address);
}

}  // namespace latte::twin
