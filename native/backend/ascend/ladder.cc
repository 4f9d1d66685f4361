#include "backend/ascend/ladder.h"

#include <cstring>
#include <vector>

#include "backend/ascend/acl/acl_call.h"
#include "backend/ascend/trial_cases.h"
#include "core/setting.h"

namespace latte::ascend {

namespace {

bool fused_wanted() { return flag_setting("LATTE_ASCEND_FUSED_PATCH", true); }

/// How long the cases of one rung may take, in milliseconds: they take a few, and loading the
/// kernels at their first launch some more.
int32_t deadline() {
  constexpr int kMost = 1'000'000;
  return number_setting("LATTE_ASCEND_TRIAL_MS", kMost).value_or(10'000);
}

/// Cases on a context of their own, which is current while this lives. What a hanging kernel uses
/// is left to it.
class Trial {
 public:
  Trial(const AclFunctions& acl, DeviceThread& thread)
      : acl_(acl), context_(thread.scratch_context()) {}
  Trial(const Trial&) = delete;
  ~Trial() {
    if (hangs_) {
      (void)binary_.release();
      return;
    }
    // Also after a launch that failed: what came before it still uses the memory.
    acl_.aclrtSynchronizeStream(context_.stream());
    binary_.reset();
    if (device_ != nullptr) acl_.aclrtFree(device_);
    if (host_ != nullptr) acl_.aclrtFreeHost(host_);
  }

  /// Kernels of the binary at `path`, for this context.
  const Kernels& load(const std::string& path) {
    binary_ = KernelBinary::load(acl_, path);
    return *binary_;
  }

  /// Why the kernels cannot be used; empty if all cases are right.
  std::string compute(const Kernels& kernels, const std::vector<TrialCase>& cases) {
    allocate(cases);
    size_t offset = 0;
    std::vector<size_t> outputs;
    for (const TrialCase& trial : cases) {
      std::vector<const void*> inputs;
      for (const auto& input : trial.inputs) {
        std::memcpy(host_ + offset, input.data(), input.size());
        inputs.push_back(device_ + offset);
        offset += padded(input.size());
      }
      outputs.push_back(offset);
      // What a kernel leaves out is NaN.
      std::memset(host_ + offset, 0xff, trial.output_bytes);
      offset += padded(trial.output_bytes);
    }
    copy(device_, host_, ACL_MEMCPY_HOST_TO_DEVICE);
    launch(kernels, cases);
    copy(host_ + bytes_, device_, ACL_MEMCPY_DEVICE_TO_HOST);
    hangs_ = !context_.synchronise_within(deadline());
    if (hangs_) return "did not end within " + std::to_string(deadline()) + " ms";
    for (size_t i = 0; i < cases.size(); ++i) {
      if (!cases[i].is_right(host_ + bytes_ + outputs[i])) return cases[i].name + " is wrong";
    }
    return "";
  }

 private:
  static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

  void allocate(const std::vector<TrialCase>& cases) {
    for (const TrialCase& trial : cases) {
      for (const auto& input : trial.inputs) bytes_ += padded(input.size());
      bytes_ += padded(trial.output_bytes);
    }
    void* memory = nullptr;
    LATTE_ACL(acl_, aclrtMalloc, &memory, bytes_, ACL_MEM_MALLOC_HUGE_FIRST);
    device_ = static_cast<std::byte*>(memory);
    LATTE_ACL(acl_, aclrtMallocHost, &memory, 2 * bytes_);
    host_ = static_cast<std::byte*>(memory);
  }

  void copy(void* to, const void* from, aclrtMemcpyKind kind) {
    LATTE_ACL(acl_, aclrtMemcpyAsync, to, bytes_, from, bytes_, kind, context_.stream());
  }

  void launch(const Kernels& kernels, const std::vector<TrialCase>& cases) {
    size_t offset = 0;
    for (const TrialCase& trial : cases) {
      std::vector<const void*> inputs;
      for (const auto& input : trial.inputs) {
        inputs.push_back(device_ + offset);
        offset += padded(input.size());
      }
      check(acl_, trial.name.c_str(),
            trial.launch(kernels, context_.stream(), inputs, device_ + offset));
      offset += padded(trial.output_bytes);
    }
  }

  const AclFunctions& acl_;
  ScratchContext context_;
  std::unique_ptr<const KernelBinary> binary_;
  std::byte* device_ = nullptr;
  std::byte* host_ = nullptr;  // what goes there, then what comes back
  size_t bytes_ = 0;
  bool hangs_ = false;
};

/// Why a way of launching does not serve; empty if the cases are right.
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
  (void)deadline();
}

void KernelLadder::climb(const AclFunctions& acl, DeviceThread& thread,
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
