#include "backend/ascend/runtime.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "backend/ascend/acl/signal_guard.h"
#include "backend/ascend/device.h"
#include "backend/ascend/kernel_binary.h"
#include "backend/ascend/kernel_plugin.h"
#include "core/setting.h"

namespace latte::ascend {

namespace {

/// The state behind the functions of runtime.h.
class Runtime {
 public:
  Device& open_device(int index, Device& host) {
    const std::lock_guard lock(mutex_);
    probe();
    if (!found_.available) {
      fail(ErrorCode::kDeviceUnavailable, "device 'npu:", index,
           "' is not available: ", found_.reason);
    }
    if (index < 0 || static_cast<uint32_t>(index) >= found_.device_count) {
      fail(ErrorCode::kDeviceUnavailable, "device 'npu:", index,
           "' is not available: this process sees ", found_.device_count,
           " NPU(s), numbered from npu:0");
    }
    auto& device = devices_[index];
    if (!device) {
      device = std::make_unique<AscendDevice>(acl_, host, index, chip_,
                                              KernelSources{plugin_.get(), kernel_binary_});
    }
    return *device;
  }

  std::vector<DeviceInfo> list_devices() {
    const std::lock_guard lock(mutex_);
    probe();
    std::vector<DeviceInfo> infos;
    if (!found_.available) return infos;
    for (uint32_t index = 0; index < found_.device_count; ++index) {
      DeviceInfo info;
      info.name = "npu:" + std::to_string(index);
      info.kind = "npu";
      info.soc = chip_.soc;
      const auto known = devices_.find(static_cast<int>(index));
      if (known != devices_.end() && known->second) info = known->second->info();
      infos.push_back(std::move(info));
    }
    return infos;
  }

  NpuDiagnostics diagnostics() {
    const std::lock_guard lock(mutex_);
    probe();
    NpuDiagnostics found = found_;
    for (const auto& [index, device] : devices_) {
      if (device) note_kernels(*device, found);
    }
    return found;
  }

  void shut_down() {
    const std::lock_guard lock(mutex_);
    bool all_given_back = true;
    for (auto& [index, device] : devices_) {
      if (device) all_given_back = device->close() && all_given_back;
    }
    if ((initialised_ || counted_) && all_given_back) {
      // A runtime with aclFinalizeReference counts the calls of aclInit: this gives ours back, and
      // ACL ends with the last one.
      uint64_t references = 0;
      if (acl_.aclFinalizeReference != nullptr)
        acl_.aclFinalizeReference(&references);
      else
        acl_.aclFinalize();
      initialised_ = counted_ = false;
    }
    if (probed_) {
      found_.available = false;
      found_.reason = "the process is ending";
    }
  }

 private:
  /// Loads and initialises CANN once; `found_` keeps the result.
  void probe() {
    if (probed_) return;
    probed_ = true;
    found_.kernels_reason = "no NPU is available";
    const SignalGuard signals;
    const AclLoad load = load_acl(acl_);
    found_.library_path = load.path;
    found_.loader_message = load.loader_message;
    if (!load.complete) {
      found_.reason = "CANN's libraries could not be opened (" + load.loader_message +
                      "); source CANN's set_env.sh before Node starts";
      return;
    }
    try {
      initialise();
    } catch (const Error& error) {
      found_.reason = std::string("CANN was found, but does not work: ") + error.what();
      return;
    }
    if (found_.device_count == 0) {
      found_.reason = "CANN works, but shows this process no NPU";
      return;
    }
    found_.available = true;
    load_plugin();
  }

  void initialise() {
    const aclError status = acl_.aclInit(nullptr);
    // If another part of this process has initialised ACL, that part finalises it, too. A runtime
    // that counts has counted our call all the same; shut_down() gives it back, or ACL would never
    // end.
    const bool repeated = status == ACL_ERROR_REPEAT_INITIALIZE;
    if (!repeated) check(acl_, "aclInit", status);
    initialised_ = !repeated;
    counted_ = repeated && acl_.aclFinalizeReference != nullptr;
    int32_t major = 0, minor = 0, patch = 0;
    LATTE_ACL(acl_, aclrtGetVersion, &major, &minor, &patch);
    found_.acl_version =
        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
    const char* soc = acl_.aclrtGetSocName();
    chip_.soc = found_.soc = soc == nullptr ? "" : soc;
    found_.chip_note = chip_.note();
    LATTE_ACL(acl_, aclrtGetDeviceCount, &found_.device_count);
  }

  void load_plugin() {
    if (!chip_.runs_kernels()) {
      found_.kernels_reason =
          "the kernels are for the Ascend 910B and 910_93 families, not for " + chip_.soc;
      return;
    }
    plugin_ = KernelPlugin::load(found_.kernels_plugin_path, found_.kernels_reason);
    found_.kernels_plugin = plugin_ != nullptr;
    // The device binary has no version of its own. It is used only with the plugin that was built
    // together with it.
    if (plugin_ != nullptr) kernel_binary_ = KernelBinary::find(found_.kernels_plugin_path);
  }

  void note_kernels(const AscendDevice& device, NpuDiagnostics& found) const {
    const auto* kernels = device.kernels();
    if (kernels == nullptr) return;
    found.captures = device.captures();
    found.capture_reason = device.capture_reason();
    if (!found.kernels_plugin) return;
    found.kernels_rung = kernels->rung;
    if (kernels->reason.empty()) return;
    found.kernels_plugin = kernels->any;
    found.kernels_reason = std::string(kernels->any ? "not all of" : "none of") +
                           " its kernels run on " + device.name() + " (" + chip_.soc +
                           "): " + kernels->reason;
  }

  std::mutex mutex_;
  AclFunctions acl_;
  bool probed_ = false;
  bool initialised_ = false;  // whether our aclInit was the first
  bool counted_ = false;      // whether it was not the first, but was counted
  NpuDiagnostics found_;
  Chip chip_;
  std::unique_ptr<const KernelPlugin> plugin_;
  std::string kernel_binary_;  // a path, or empty
  std::map<int, std::unique_ptr<AscendDevice>> devices_;
};

/// Never destroyed: threads may use it until the process ends.
Runtime& runtime() {
  static auto* instance = new Runtime;
  return *instance;
}

}  // namespace

void check_settings() {
  flag_setting("LATTE_ASCEND_SYNC");
  KernelPlugin::check_setting();
  KernelBinary::check_setting();
  KernelLadder::check_settings();
}

Device& open_device(int index, Device& host) { return runtime().open_device(index, host); }
std::vector<DeviceInfo> list_devices() { return runtime().list_devices(); }
NpuDiagnostics diagnostics() { return runtime().diagnostics(); }
void shut_down() { runtime().shut_down(); }

}  // namespace latte::ascend
