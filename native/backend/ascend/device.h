// One Ascend NPU: a thread that owns it, its memory, and its operations.
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

class AscendDevice final : public Device {
 public:
  /// The device opens at its first work, copy or allocation.
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

  /// Which of our kernels this device found to work when it opened.
  struct FoundKernels {
    bool any = false;
    std::string rung;    // as KernelLadder's
    std::string reason;  // why not more of them
  };
  /// Null if the device is not open.
  const FoundKernels* kernels() const { return thread_.is_open() ? &found_kernels_ : nullptr; }

  /// Whether forwards are captured and replayed.
  bool captures() const { return graphs_.on(); }
  /// Why they are not, or not always; empty if they are.
  std::string capture_reason() const { return graphs_.reason(); }
  /// Weights are gone: soon ends the graphs that read them. On any thread.
  void drop_graphs() noexcept;

  /// Lands what is in flight, then gives back everything that belongs to ACL. Returns false if
  /// something had to be left to the end of the process: ACL must not be finalised then.
  bool close();

 private:
  class AscendFlight;

  DeviceThread::Hooks hooks();
  void opened();
  void recovered();
  void opening_failed();
  void look_at_memory();
  /// Copies by way of pinned memory, and waits. On the device's thread.
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
  std::atomic<size_t> memory_free_ = 0;  // when the device's thread last looked
  mutable std::atomic<bool> will_look_ = false;
  int64_t l2_bytes_ = 0;
  uint64_t resets_ = 0;  // on the device's thread
  ExecutorCache executors_;
  DeviceMemory memory_;
  ConstantCache constant_cache_;
  Graphs graphs_;  // end before the memory that they use
  MemoryProbe probe_;
  // The thread uses everything above: it is made last and ends first. DeviceMemory has a reference
  // to it, which it does not use before.
  DeviceThread thread_;
};

}  // namespace latte::ascend
