#include "backend/cpu/device.h"

#include <cstring>

#include "backend/cpu/convert.h"
#include "backend/cpu/linear_weights.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/simd/targets.h"
#include "system/host_memory.h"
#include "system/memory_pool.h"
#include "system/thread_pool.h"

namespace latte::cpu {

namespace {

/// Memory of the process's pool as a buffer of this device.
class PooledBuffer final : public Buffer {
 public:
  explicit PooledBuffer(system::Memory memory) : memory_(std::move(memory)) {}
  void* data() const override { return memory_.data(); }
  size_t bytes() const override { return memory_.bytes(); }

 private:
  system::Memory memory_;
};

/// Runs every operation at once, on the calling thread and the pool's helpers.
class CpuQueue final : public Queue {
 public:
  explicit CpuQueue(const CancelFlag* cancelled) { context_.cancelled = cancelled; }

  void* scratch(size_t bytes) override {
    context_.scratch_memory.push_back(system::memory_pool().allocate(bytes));
    return context_.scratch_memory.back().data();
  }
  TensorView upload(const TensorView& host) override { return host; }
  void download(const TensorView& from, void* host) override {
    if (from.bytes() > 0) std::memcpy(host, from.data, from.bytes());
  }
  void fill_zero(const TensorView& to) override {
    if (to.bytes() > 0) std::memset(to.data, 0, to.bytes());
  }

  void timestep_projection(const TimestepProjectionArgs& args) override {
    context_.check_cancelled();
    cpu::timestep_projection(args, context_);
  }
  void patch_projection(const PatchProjectionArgs& args) override {
    context_.check_cancelled();
    cpu::patch_projection(args, context_);
  }
  void linear(const LinearArgs& args) override {
    context_.check_cancelled();
    cpu::linear(args, context_);
  }
  void layer_norm(const LayerNormArgs& args) override {
    context_.check_cancelled();
    cpu::layer_norm(args, context_);
  }
  void add(const TensorView& a, const TensorView& b, const TensorView& out) override {
    context_.check_cancelled();
    cpu::add(a, b, out);
  }
  void convert(const TensorView& from, const TensorView& to) override {
    context_.check_cancelled();
    cpu::convert(from.data, from.dtype, to.data, to.dtype, from.size());
  }

 private:
  Context context_;
};

class CpuDevice final : public Device {
 public:
  const std::string& name() const override { return name_; }
  DeviceInfo info() const override {
    DeviceInfo info;
    info.name = info.kind = name_;
    info.instruction_set = target_name();
    info.threads = system::thread_pool().threads();
    const auto memory = system::host_memory();
    info.memory = DeviceInfo::Memory{memory.available, memory.total};
    return info;
  }
  MemoryUsage memory_usage() const override {
    const auto usage = system::memory_pool().usage();
    return {usage.live, usage.pooled, usage.limit};
  }
  void check_dtype(DType) const override {}
  std::shared_ptr<Buffer> allocate(size_t bytes) override {
    return std::make_shared<PooledBuffer>(system::memory_pool().allocate(bytes));
  }
  std::shared_ptr<Buffer> allocate_staging(size_t bytes) override { return allocate(bytes); }
  bool runs_on_caller() const override { return true; }
  void submit(std::shared_ptr<Work> work) override {
    std::optional<Error> error;
    try {
      CpuQueue queue(&work->cancelled);
      if (work->cancelled) fail(ErrorCode::kAborted, "the operation was aborted");
      work->run(queue);
    } catch (...) {
      error = current_error();
    }
    work->finish(error);
  }
  void copy_in(void* device, const void* host, size_t bytes) override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, size_t bytes) override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  std::shared_ptr<const LinearWeights> prepare_linear(const TensorView& weight,
                                                      const TensorView* bias,
                                                      DType dtype) override {
    return pack_linear(weight, bias, dtype);
  }
  std::shared_ptr<const PreparedPositions> prepare_positions(PositionTable table) override {
    return std::make_shared<CpuPositions>(std::move(table));
  }

 private:
  const std::string name_ = "cpu";
};

}  // namespace

Device& device() {
  static auto* cpu = new CpuDevice;
  return *cpu;
}

}  // namespace latte::cpu
