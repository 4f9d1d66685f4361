// One Ascend NPU as a device: the thread that owns it, its memory, and its caches.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backend/ascend/chip.h"
#include "backend/ascend/constant_cache.h"
#include "backend/ascend/graphs.h"
#include "backend/ascend/acl/device_memory.h"
#include "backend/ascend/acl/device_thread.h"
#include "backend/ascend/kernels/tiling.h"
#include "backend/ascend/ladder.h"
#include "backend/ascend/acl/executor_cache.h"
#include "backend/backend.h"

namespace latte::ascend {

/// An NPU. See backend.h for the functions that it overrides.
class AscendDevice final : public Device {
 public:
  /// Starts the device's thread. The device opens at its first work, copy or allocation.
  AscendDevice(const AclFunctions& acl, Device& host, int32_t index, Chip chip,
               KernelSources sources);

  const std::string& name() const override { return name_; }
  DeviceInfo info() const override;
  MemoryUsage memory_usage() const override;
  void check_dtype(DType dtype) const override;
  std::shared_ptr<Buffer> allocate(size_t bytes) override { return memory_.allocate(bytes); }
  std::shared_ptr<Buffer> allocate_staging(size_t bytes) override;
  bool runs_on_caller() const override { return false; }
  void submit(std::shared_ptr<Work> work) override;
  void drop_cancelled() noexcept override;
  void copy_in(void* device, const void* host, size_t bytes) override;
  void copy_out(void* host, const void* device, size_t bytes) override;
  std::shared_ptr<const LinearWeights> prepare_linear(const TensorView& weight,
                                                      const TensorView* bias, DType dtype) override;
  std::shared_ptr<const PreparedPositions> prepare_positions(PositionTable table) override;
  std::shared_ptr<Buffer> borrow(void* memory, size_t bytes, void* event) override;

  /// Which of our kernels this device uses. Determined when it opens.
  struct FoundKernels {
    bool any = false;
    std::string rung;    // KernelLadder::rung()
    std::string reason;  // KernelLadder::reason()
  };
  /// Null if the device is not open.
  const FoundKernels* kernels() const { return thread_.is_open() ? &found_kernels_ : nullptr; }

  /// Whether forwards are captured and replayed.
  bool captures() const { return graphs_.on(); }
  /// Why forwards are not, or not always, captured; else empty.
  std::string capture_reason() const { return graphs_.reason(); }
  /// To be called, on any thread, when weights were destroyed. Makes the device's thread destroy
  /// the graphs that read them.
  void drop_graphs() noexcept;

  /// Waits for the works in flight, then gives back everything that belongs to ACL. Returns false
  /// if something had to be left to the end of the process; then ACL must not be finalised.
  bool close();

 private:
  class AscendFlight;

  DeviceThread::Hooks hooks();
  void opened();
  void recovered();
  void opening_failed();
  /// Asks ACL how much device memory is free. On the device's thread.
  void update_memory_info();
  /// Copies through pinned memory, and waits. On the device's thread.
  void copy_now(void* to, const void* from, size_t bytes, aclrtMemcpyKind kind);
  std::shared_ptr<Buffer> to_device(const TensorView& host, DType dtype);

  const AclFunctions& acl_;
  Device& host_;
  const int32_t index_;
  const std::string name_;
  const Chip chip_;
  const KernelSources sources_;
  KernelLadder ladder_;
  FoundKernels found_kernels_;  // not changed once the device is open
  CoreCounts cores_;
  size_t memory_total_ = 0;
  std::atomic<size_t> memory_free_ = 0;  // at the last update_memory_info()
  mutable std::atomic<bool> update_is_posted_ = false;
  int64_t l2_bytes_ = 0;
  uint64_t resets_ = 0;  // failures after which the context was destroyed; on the device's thread
  ExecutorCache executors_;
  DeviceMemory memory_;
  ConstantCache constant_cache_;
  Graphs graphs_;  // destroyed before the memory that they use
  MemoryProbe probe_;
  // The thread uses everything above, so it is constructed last and destroyed first. DeviceMemory
  // has a reference to it, which it does not use before it is constructed.
  DeviceThread thread_;
};

}  // namespace latte::ascend
