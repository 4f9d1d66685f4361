#include "backend/ascend/capture_trial.h"

#include <cstring>
#include <vector>

#include "backend/ascend/acl/capture.h"
#include "backend/ascend/acl/executor_cache.h"
#include "backend/ascend/kernel_binary.h"
#include "backend/ascend/trial_cases.h"
#include "backend/ascend/trial_context.h"

namespace latte::ascend {

namespace {

/// A product [16, 16] in float16, which every chip has.
constexpr int64_t kSize = 16;
constexpr size_t kProductBytes = kSize * kSize * sizeof(uint16_t);
/// The bytes of the slot for each operand, result and workspace: more than the small ones here
/// need.
constexpr size_t kSlotBytes = size_t{64} << 10;

/// No trial is made on chips of the first generation.
constexpr bool kFirstGeneration = false;

class CaptureTrial {
 public:
  CaptureTrial(const AclFunctions& acl, DeviceThread& thread, const std::string& binary)
      : acl_(acl), context_(acl, thread), executors_(acl, kFirstGeneration) {
    if (!binary.empty()) {
      kernels_ = KernelBinary::load(acl, binary);
      kernel_case_ = plain_trial_cases().front();
    }
  }
  CaptureTrial(const CaptureTrial&) = delete;
  ~CaptureTrial() {
    if (context_.hangs()) {
      (void)kernels_.release();
      (void)graph_.release();
      // Executors and tensors are CANN's objects on the host: nothing on the device uses them.
      return;
    }
    context_.wait();
  }

  std::string compute(int32_t milliseconds) {
    fill();
    context_.copy_in();
    launch(0);
    graph_ = capture_launches(acl_, context_.stream(), [this] { launch(1); });
    LATTE_ACL(acl_, aclmdlRIExecuteAsync, graph_.get(), context_.stream());
    context_.copy_out();
    if (!context_.ends_within(milliseconds)) {
      return "a replay did not end within " + std::to_string(milliseconds) + " ms";
    }
    const auto result = [&](Slot slot, size_t run) { return context_.result() + at(slot, run); };
    const bool same =
        std::memcmp(result(kProduct, 0), result(kProduct, 1), kProductBytes) == 0 &&
        std::memcmp(result(kOutput, 0), result(kOutput, 1), kernel_case_.output_bytes) == 0;
    // All bits are set in memory that was never written.
    uint16_t first = 0;
    std::memcpy(&first, result(kProduct, 0), sizeof first);
    if (first == 0xffff) return "the product that is captured is not computed";
    return same ? "" : "a replay computes something else than the launches that were captured";
  }

 private:
  /// The slots of the trial's memory. Those from kProduct on are written, and exist twice: for run
  /// 0, which launches, and run 1, which is captured and replayed.
  enum Slot : size_t { kLeft, kRight, kInput, kOtherInput, kProduct, kOutput, kWorkspace };

  /// The offset of a slot, in bytes.
  static size_t at(Slot slot, size_t run) {
    return (slot < kProduct ? slot : kProduct + 3 * run + (slot - kProduct)) * kSlotBytes;
  }
  void* device(Slot slot, size_t run = 0) { return context_.device() + at(slot, run); }

  void fill() {
    context_.allocate(at(kWorkspace, 1) + kSlotBytes);
    std::memset(context_.host(), 0xff, at(kWorkspace, 1) + kSlotBytes);
    for (const Slot slot : {kLeft, kRight}) {
      for (size_t i = 0; i < kSize * kSize; ++i) {
        // 1 to 1.5, in steps of 1/64.
        const auto bits = static_cast<uint16_t>(0x3c00 + 16 * ((i * (slot + 3)) % 32));
        std::memcpy(context_.host() + at(slot, 0) + i * sizeof bits, &bits, sizeof bits);
      }
    }
    for (size_t i = 0; i < kernel_case_.inputs.size(); ++i) {
      const auto& input = kernel_case_.inputs[i];
      std::memcpy(context_.host() + at(static_cast<Slot>(kInput + i), 0), input.data(),
                  input.size());
    }
  }

  void launch(size_t run) {
    const auto square = [&](void* data) {
      return OperandView::dense(DType::kFloat16, {kSize, kSize}, data);
    };
    executors_.run(
        {"aclnnMm",
         acl_.aclnnMm,
         /*repeatable=*/true,
         {square(device(kLeft)), square(device(kRight))},
         {square(device(kProduct, run))},
         [&](const auto& t, uint64_t* bytes, aclOpExecutor** executor) {
           return acl_.aclnnMmGetWorkspaceSize(t[0], t[1], t[2], 0, bytes, executor);
         }},
        context_.stream(), [&](size_t bytes) { return workspace(bytes, run); }, run == 1);
    if (kernels_ == nullptr) return;
    check(acl_, kernel_case_.name.c_str(),
          kernel_case_.launch(*kernels_, context_.stream(), {device(kInput), device(kOtherInput)},
                              device(kOutput, run)));
  }

  void* workspace(size_t bytes, size_t run) {
    if (bytes > kSlotBytes) fail(ErrorCode::kState, "a small product wants ", bytes, " bytes");
    return device(kWorkspace, run);
  }

  const AclFunctions& acl_;
  TrialContext context_;
  std::unique_ptr<const KernelBinary> kernels_;
  TrialCase kernel_case_;
  ExecutorCache executors_;
  GraphHandle graph_;  // destroyed before what its launches use
};

}  // namespace

std::string try_capture(const AclFunctions& acl, DeviceThread& thread, const std::string& binary,
                        int32_t milliseconds) {
  for (const bool there : {acl.aclmdlRICaptureBegin != nullptr, acl.aclmdlRICaptureEnd != nullptr,
                           acl.aclmdlRIExecuteAsync != nullptr, acl.aclmdlRIDestroy != nullptr}) {
    if (!there) return "this release of CANN has not all functions for it (aclmdlRI…)";
  }
  try {
    return CaptureTrial(acl, thread, binary).compute(milliseconds);
  } catch (...) {
    return current_error().what();
  }
}

}  // namespace latte::ascend
