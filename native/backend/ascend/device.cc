#include "backend/ascend/device.h"

#include <atomic>
#include <cstring>

#include "backend/ascend/queue.h"

namespace latte::ascend {

namespace {

/// Device memory that another part of the process owns (Device::borrow).
class BorrowedBuffer final : public Buffer {
 public:
  BorrowedBuffer(DeviceThread& thread, void* memory, size_t bytes, aclrtEvent event)
      : thread_(thread), memory_(memory), bytes_(bytes), event_(event) {}
  void* data() const override { return memory_; }
  size_t bytes() const override { return bytes_; }
  /// Makes the stream wait for the event, once. If that fails, the next work tries again.
  void await_content() override {
    if (event_ == nullptr) return;
    thread_.run_after(event_);
    event_ = nullptr;
  }

 private:
  DeviceThread& thread_;
  void* memory_;
  size_t bytes_;
  aclrtEvent event_;  // used on the device's thread; null: there is none to wait for any more
};

int32_t cores_of(const AclFunctions& acl, int32_t device, aclDeviceInfo kind) {
  int64_t cores = 0;
  LATTE_ACL(acl, aclGetDeviceCapability, static_cast<uint32_t>(device), kind, &cores);
  return static_cast<int32_t>(cores);
}

/// The bytes of the L2 cache. If CANN does not return them, those of the first Ascend 910, which
/// has the smallest one.
int64_t l2_bytes_of(const AclFunctions& acl, int32_t device) {
  int64_t bytes = 0;
  const auto index = static_cast<uint32_t>(device);
  const aclError code = acl.aclGetDeviceCapability(index, ACL_DEVICE_INFO_L2_SIZE, &bytes);
  return code == ACL_SUCCESS && bytes > 0 ? bytes : int64_t{32} << 20;
}

}  // namespace

/// A work on its way through the device's thread. Its queue holds the memory that it uses until it
/// has landed.
class AscendDevice::AscendFlight final : public Flight {
 public:
  AscendFlight(AscendDevice& device, std::shared_ptr<Work> work)
      : device_(device), work_(std::move(work)) {}

  void launch() override {
    if (is_cancelled()) fail(ErrorCode::kAborted, "the operation was aborted");
    queue_ = std::make_unique<AscendQueue>(
        QueueResources{device_.acl_, device_.host_, device_.name_, device_.memory_,
                       device_.executors_, device_.constant_cache_, device_.graphs_,
                       device_.ladder_.kernels(), device_.ladder_.fused(), device_.cores_,
                       device_.thread_, device_.thread_.stream(), device_.chip_.float16_only(),
                       device_.resets_, device_.l2_bytes_},
        &work_->cancelled);
    work_->run(*queue_);
  }

  bool is_cancelled() const override { return work_->cancelled.load(std::memory_order_relaxed); }

  void land(const std::optional<Error>& error) override {
    if (queue_ && !error) queue_->finish();
    // The queue gives its memory back before the work ends.
    queue_.reset();
    work_->finish(error);
  }

 private:
  AscendDevice& device_;
  std::shared_ptr<Work> work_;
  std::unique_ptr<AscendQueue> queue_;
};

AscendDevice::AscendDevice(const AclFunctions& acl, Device& host, int32_t index, Chip chip,
                           KernelSources sources)
    : acl_(acl),
      host_(host),
      index_(index),
      name_("npu:" + std::to_string(index)),
      chip_(std::move(chip)),
      sources_(chip_.runs_kernels() ? std::move(sources) : KernelSources{}),
      executors_(acl, chip_.float16_only()),
      memory_(acl, thread_, [this] { graphs_.drop_expired(); }),
      constant_cache_(memory_),
      probe_(acl),
      thread_(acl, index, hooks()) {
  thread_.start();
}

DeviceThread::Hooks AscendDevice::hooks() {
  DeviceThread::Hooks hooks;
  hooks.opened = [this] { opened(); };
  hooks.opening_failed = [this] { opening_failed(); };
  hooks.idle = [this] {
    memory_.trim();
    executors_.trim();
  };
  hooks.failed = [this](bool stopped) {
    graphs_.context_ends(stopped);
    // Executors belong to the context. Constants may not have arrived on the device.
    executors_.clear();
    constant_cache_.clear();
    ++resets_;
  };
  hooks.recovered = [this] { recovered(); };
  hooks.closing = [this](bool stopped) {
    graphs_.context_ends(stopped);
    ladder_.close();
    probe_.close();
    executors_.clear();
    constant_cache_.clear();
    memory_.close();
  };
  return hooks;
}

bool AscendDevice::close() {
  thread_.stop();
  return !thread_.left_something();
}

void AscendDevice::drop_cancelled() noexcept {
  try {
    thread_.drop_cancelled();
  } catch (...) {
    // Without memory for this, cancelled works end when their turn comes.
  }
}

void AscendDevice::drop_graphs() noexcept {
  try {
    thread_.post([this] { graphs_.drop_expired(); });
  } catch (...) {
    // Without memory for this, the graphs end before device memory is next given back.
  }
}

AscendLinearWeights::~AscendLinearWeights() {
  if (captured) static_cast<AscendDevice*>(device)->drop_graphs();
}

void AscendDevice::recovered() {
  ladder_.renew(acl_, sources_);
  if (probe_.is_intact(thread_)) return;
  throw Error("device memory did not survive the failure: weights and tensors on " + name_ +
                  " are lost, and so is the device for this process",
              "aclrtMemcpyAsync", ACL_ERROR_RT_DRV_INTERNAL_ERROR);
}

void AscendDevice::opened() {
  cores_.cube = cores_of(acl_, index_, ACL_DEVICE_INFO_AI_CORE_NUM);
  cores_.vector = cores_of(acl_, index_, ACL_DEVICE_INFO_VECTOR_CORE_NUM);
  l2_bytes_ = l2_bytes_of(acl_, index_);
  update_memory_info();
  probe_.write(thread_);
  ladder_.climb(acl_, thread_, sources_, chip_);
  if (ladder_.captures()) {
    graphs_.switch_on();
  } else {
    graphs_.switch_off(ladder_.capture_reason());
  }
  found_kernels_ = {ladder_.kernels() != nullptr, ladder_.rung(), ladder_.reason()};
}

void AscendDevice::opening_failed() {
  ladder_.close();
  ladder_ = {};
  graphs_.clear();
  probe_.close();
  executors_.clear();
  constant_cache_.clear();
  memory_.release();
}

void AscendDevice::update_memory_info() {
  size_t free = 0;
  size_t total = 0;
  LATTE_ACL(acl_, aclrtGetMemInfo, ACL_HBM_MEM, &free, &total);
  memory_free_ = free;
  // The total never changes. It is written only before the device is open, and read by other
  // threads only afterwards, so it needs no lock.
  if (memory_total_ == 0) memory_total_ = total;
}

DeviceInfo AscendDevice::info() const {
  DeviceInfo info;
  info.name = name_;
  info.kind = "npu";
  info.soc = chip_.soc;
  if (thread_.is_open()) {
    info.memory = DeviceInfo::Memory{memory_free_, memory_total_};
    // Updates the figure for the next call: info() does not wait for the device.
    auto& self = const_cast<AscendDevice&>(*this);
    const auto update = [&self] {
      self.update_is_posted_ = false;
      self.update_memory_info();
    };
    if (!update_is_posted_.exchange(true) && !self.thread_.post(update)) {
      update_is_posted_ = false;
    }
  }
  return info;
}

MemoryUsage AscendDevice::memory_usage() const {
  return memory_.usage(thread_.is_open() ? memory_total_ : 0);
}

void AscendDevice::check_dtype(DType dtype) const {
  if (!chip_.float16_only() || dtype == DType::kFloat16) return;
  fail(ErrorCode::kDType, "layers on ", name_, " (", chip_.soc,
       chip_.is_first_910() ? ", the first Ascend 910" : "", ") compute in float16 alone, not in ",
       dtype_name(dtype));
}

std::shared_ptr<Buffer> AscendDevice::allocate_staging(size_t bytes) {
  // The pool may be used on any thread, ACL may not. Without a pinned block in the pool, ordinary
  // memory serves: the device's thread then copies it to a pinned block, which stays in the pool.
  if (auto pinned = memory_.take_pinned(bytes)) return pinned;
  return host_.allocate(bytes);
}

void AscendDevice::submit(std::shared_ptr<Work> work) {
  thread_.submit(std::make_unique<AscendFlight>(*this, std::move(work)));
}

void AscendDevice::copy_now(void* to, const void* from, size_t bytes, aclrtMemcpyKind kind) {
  if (bytes == 0) return;
  const auto pinned = memory_.allocate_pinned(bytes);
  const bool in = kind == ACL_MEMCPY_HOST_TO_DEVICE;
  if (in) std::memcpy(pinned->data(), from, bytes);
  const int status = acl_.aclrtMemcpyAsync(
      in ? to : pinned->data(), bytes, in ? pinned->data() : from, bytes, kind, thread_.stream());
  check(acl_, "aclrtMemcpyAsync", status);
  thread_.synchronise();
  if (!in) std::memcpy(to, pinned->data(), bytes);
}

void AscendDevice::copy_in(void* device, const void* host, size_t bytes) {
  thread_.call([&] { copy_now(device, host, bytes, ACL_MEMCPY_HOST_TO_DEVICE); });
}

void AscendDevice::copy_out(void* host, const void* device, size_t bytes) {
  thread_.call([&] { copy_now(host, device, bytes, ACL_MEMCPY_DEVICE_TO_HOST); });
}

std::shared_ptr<Buffer> AscendDevice::to_device(const TensorView& host, DType dtype) {
  TensorView rounded = host;
  std::shared_ptr<Buffer> converted;
  if (host.dtype != dtype) {
    rounded.dtype = dtype;
    converted = host_.allocate(rounded.bytes());
    rounded.data = converted->data();
    run_and_wait(host_, [&](Queue& queue) { queue.convert(host, rounded); });
  }
  auto buffer = allocate(rounded.bytes());
  copy_in(buffer->data(), rounded.data, rounded.bytes());
  return buffer;
}

std::shared_ptr<const LinearWeights> AscendDevice::prepare_linear(const TensorView& weight,
                                                                  const TensorView* bias,
                                                                  DType dtype) {
  static std::atomic<uint64_t> made{0};
  auto weights = std::make_shared<AscendLinearWeights>();
  weights->id = ++made;
  weights->device = this;
  weights->dtype = dtype;
  weights->out_features = weight.shape[0];
  weights->in_features = weight.shape[0] == 0 ? 0 : weight.size() / weight.shape[0];
  weights->has_bias = bias != nullptr;
  weights->weight = to_device(weight, dtype);
  if (bias != nullptr) weights->bias = to_device(*bias, dtype);
  return weights;
}

std::shared_ptr<const PreparedPositions> AscendDevice::prepare_positions(PositionTable table) {
  static std::atomic<uint64_t> tables{0};
  auto positions = std::make_shared<AscendPositions>();
  positions->id = ++tables;
  positions->dim = table.dim;
  positions->rows = table.row_count();
  std::vector<float> whole(static_cast<size_t>(positions->rows * table.dim));
  table.expand(whole.data());
  const size_t bytes = whole.size() * sizeof(float);
  positions->whole = allocate(bytes);
  copy_in(positions->whole->data(), whole.data(), bytes);
  if (table.is_separable()) positions->separable = std::move(table);
  return positions;
}

std::shared_ptr<Buffer> AscendDevice::borrow(void* memory, size_t bytes, void* event) {
  return std::make_shared<BorrowedBuffer>(thread_, memory, bytes, event);
}

}  // namespace latte::ascend
