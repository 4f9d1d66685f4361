#include "backend/ascend/ladder.h"

#include <cstring>
#include <vector>

#include "backend/ascend/acl/acl_call.h"
#include "backend/ascend/capture_trial.h"
#include "backend/ascend/trial_cases.h"
#include "backend/ascend/trial_context.h"
#include "core/setting.h"

namespace latte::ascend {

namespace {

bool capture_wanted() { return flag_setting("LATTE_ASCEND_CAPTURE", /*unset=*/true); }

bool fused_wanted() { return flag_setting("LATTE_ASCEND_FUSED_PATCH", /*unset=*/true); }

/// How long the cases of one rung may take, in milliseconds. They take a few milliseconds, plus the
/// loading of the kernels at their first launch.
int32_t deadline() {
  constexpr int kMost = 1'000'000;
  return number_setting("LATTE_ASCEND_TRIAL_MS", kMost).value_or(10'000);
}

/// Runs cases in a context of their own, which is the current one while this object lives.
class Trial {
 public:
  Trial(const AclFunctions& acl, DeviceThread& thread) : acl_(acl), context_(acl, thread) {}
  Trial(const Trial&) = delete;
  ~Trial() {
    // Waits also after a failed launch, because the launches before it still run.
    if (context_.hangs()) {
      (void)binary_.release();
    } else {
      context_.wait();
    }
  }

  /// Loads the device binary at `path` into this context.
  const Kernels& load(const std::string& path) {
    binary_ = KernelBinary::load(acl_, path);
    return *binary_;
  }

  /// Runs the cases. Returns why the kernels cannot be used; empty if all results are right.
  std::string compute(const Kernels& kernels, const std::vector<TrialCase>& cases) {
    size_t bytes = 0;
    for (const TrialCase& trial : cases) {
      for (const auto& input : trial.inputs) bytes += padded(input.size());
      bytes += padded(trial.output_bytes);
    }
    context_.allocate(bytes);
    size_t offset = 0;
    std::vector<size_t> outputs;
    for (const TrialCase& trial : cases) {
      for (const auto& input : trial.inputs) {
        std::memcpy(context_.host() + offset, input.data(), input.size());
        offset += padded(input.size());
      }
      outputs.push_back(offset);
      // All bits set is NaN: what a kernel does not write is wrong.
      std::memset(context_.host() + offset, 0xff, trial.output_bytes);
      offset += padded(trial.output_bytes);
    }
    context_.copy_in();
    launch(kernels, cases);
    context_.copy_out();
    if (!context_.ends_within(deadline())) {
      return "did not end within " + std::to_string(deadline()) + " ms";
    }
    for (size_t i = 0; i < cases.size(); ++i) {
      if (!cases[i].is_right(context_.result() + outputs[i])) return cases[i].name + " is wrong";
    }
    return "";
  }

 private:
  static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

  void launch(const Kernels& kernels, const std::vector<TrialCase>& cases) {
    size_t offset = 0;
    for (const TrialCase& trial : cases) {
      std::vector<const void*> inputs;
      for (const auto& input : trial.inputs) {
        inputs.push_back(context_.device() + offset);
        offset += padded(input.size());
      }
      check(acl_, trial.name.c_str(),
            trial.launch(kernels, context_.stream(), inputs, context_.device() + offset));
      offset += padded(trial.output_bytes);
    }
  }

  const AclFunctions& acl_;
  TrialContext context_;
  std::unique_ptr<const KernelBinary> binary_;
};

/// Why the kernels, launched from the binary or by the plugin, cannot be used; empty if they can.
std::string try_cases(const AclFunctions& acl, DeviceThread& thread, const KernelSources& sources,
                      bool binary, const std::vector<TrialCase>& cases) {
  try {
    Trial trial(acl, thread);
    return trial.compute(binary ? trial.load(sources.binary) : *sources.plugin, cases);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

void KernelLadder::check_settings() {
  (void)fused_wanted();
  (void)capture_wanted();
  (void)deadline();
}

void KernelLadder::climb(const AclFunctions& acl, DeviceThread& thread,
                         const KernelSources& sources, const Chip& chip) {
  climb_kernels(acl, thread, sources);
  capture_reason_ = reason_not_to_capture(acl, thread, sources, chip);
}

/// Why launches cannot be captured; empty if they can.
std::string KernelLadder::reason_not_to_capture(const AclFunctions& acl, DeviceThread& thread,
                                                const KernelSources& sources,
                                                const Chip& chip) const {
  if (!capture_wanted()) return "switched off by LATTE_ASCEND_CAPTURE=0";
  if (flag_setting("LATTE_ASCEND_SYNC")) return "LATTE_ASCEND_SYNC=1 waits after each operation";
  // CANN 8.1 documents captures for these chips; newer releases also for 310P and 950
  // (docs/ascend-operations.md).
  if (!chip.runs_kernels()) return "not tried on " + chip.soc;
  if (kernels_ != nullptr && binary_ == nullptr) {
    return "the plugin's launch functions allocate memory, which cannot be captured";
  }
  return try_capture(acl, thread, binary_ == nullptr ? "" : sources.binary, deadline());
}

void KernelLadder::climb_kernels(const AclFunctions& acl, DeviceThread& thread,
                                 const KernelSources& sources) {
  kernels_ = nullptr;
  fused_ = false;
  reason_.clear();
  const auto tried = [&](bool binary, const std::vector<TrialCase>& cases) {
    return try_cases(acl, thread, sources, binary, cases);
  };
  for (const bool binary : {true, false}) {
    if (binary ? sources.binary.empty() : sources.plugin == nullptr) continue;
    const char* way = binary ? "the device binary" : "the plugin's launch functions";
    if (const std::string why = tried(binary, plain_trial_cases()); !why.empty()) {
      leave(way, why);
      continue;
    }
    if (binary) {
      try {
        binary_ = KernelBinary::load(acl, sources.binary);
      } catch (const Error& error) {
        leave(way, error.what());
        continue;
      }
    }
    kernels_ = binary ? static_cast<const Kernels*>(binary_.get()) : sources.plugin;
    if (!fused_wanted()) {
      leave("the fused projection", "switched off by LATTE_ASCEND_FUSED_PATCH=0");
      return;
    }
    const std::string why = tried(binary, fused_trial_cases());
    fused_ = why.empty();
    if (!fused_) leave("the fused projection", why);
    return;
  }
}

void KernelLadder::renew(const AclFunctions& acl, const KernelSources& sources) {
  if (binary_ == nullptr) return;
  kernels_ = nullptr;
  binary_.reset();
  try {
    binary_ = KernelBinary::load(acl, sources.binary);
    kernels_ = binary_.get();
  } catch (const Error& error) {
    fused_ = false;
    leave("the device binary", error.what());
  }
}

void KernelLadder::leave(const std::string& rung, const std::string& why) {
  if (!reason_.empty()) reason_ += "; ";
  reason_ += rung + ": " + why;
}

std::string KernelLadder::rung() const {
  if (kernels_ == nullptr) return "operations";
  const std::string way = binary_ == nullptr ? " (launch functions)" : " (device binary)";
  return (fused_ ? "fused" : "kernels") + way;
}

}  // namespace latte::ascend
