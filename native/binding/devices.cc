#include "binding/devices.h"

#include <utility>

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/forward.h"
#include "binding/tensor.h"

namespace latte::binding {

namespace {

/// A JavaScript object to which properties are added.
class Record {
 public:
  explicit Record(napi_env env) : env_(env), object_(make_object(env)) {}

  void set(const char* name, napi_value value) { define(env_, object_, name, value); }
  void set(const char* name, const std::string& text) { set(name, make(env_, text)); }
  void set_if_any(const char* name, const std::string& text) {
    if (!text.empty()) set(name, text);
  }
  void set(const char* name, size_t number) { set(name, make(env_, static_cast<double>(number))); }
  void set_boolean(const char* name, bool value) { set(name, make_boolean(env_, value)); }
  napi_value object() const { return object_; }

 private:
  napi_env env_;
  napi_value object_;
};

}  // namespace

napi_value check_settings(const Call&) {
  latte::check_settings();
  return nullptr;
}

napi_value devices(const Call& call) {
  const auto infos = list_devices();
  const napi_value array = make_array(call.env, infos.size());
  for (uint32_t i = 0; i < infos.size(); ++i) {
    Record device(call.env);
    device.set("name", infos[i].name);
    device.set("kind", infos[i].kind);
    device.set_if_any("instructionSet", infos[i].instruction_set);
    if (infos[i].threads > 0) device.set("threads", static_cast<size_t>(infos[i].threads));
    device.set_if_any("soc", infos[i].soc);
    if (infos[i].memory) {
      Record memory(call.env);
      memory.set("free", infos[i].memory->free);
      memory.set("total", infos[i].memory->total);
      device.set("memory", memory.object());
    }
    define_element(call.env, array, i, device.object());
  }
  return array;
}

napi_value open_device_later(const Call& call) {
  // A work without operations: it ends when the device is open.
  Plan plan;
  plan.run = [](Queue&, const Inputs&, const Outputs&) {};
  const ForwardArguments none(call.env, make_array(call.env, 0), make_array(call.env, 0));
  return forward_later(*call.environment, device_named(call.env, call[0]), std::move(plan), none,
                       kNotCancellable);
}

napi_value device_diagnostics(const Call& call) {
  const NpuDiagnostics npu = npu_diagnostics();
  Record record(call.env);
  record.set_boolean("available", npu.available);
  record.set("reason", npu.reason);
  record.set("deviceCount", size_t{npu.device_count});
  record.set_boolean("kernelsPlugin", npu.kernels_plugin);
  record.set_if_any("libraryPath", npu.library_path);
  record.set_if_any("loaderMessage", npu.loader_message);
  record.set_if_any("soc", npu.soc);
  record.set_if_any("chipNote", npu.chip_note);
  record.set_if_any("aclVersion", npu.acl_version);
  record.set_if_any("kernelsPluginPath", npu.kernels_plugin_path);
  record.set_if_any("kernelsRung", npu.kernels_rung);
  record.set_if_any("kernelsReason", npu.kernels_reason);
  if (npu.captures) record.set_boolean("captures", *npu.captures);
  record.set_if_any("captureReason", npu.capture_reason);
  return record.object();
}

napi_value memory_usage(const Call& call) {
  const MemoryUsage usage = device_named(call.env, call[0]).memory_usage();
  Record record(call.env);
  record.set("live", usage.live);
  record.set("pooled", usage.pooled);
  record.set("limit", usage.limit);
  return record.object();
}

}  // namespace latte::binding
