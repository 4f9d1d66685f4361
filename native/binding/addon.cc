// The addon's entry point, and the table of the functions that it exports.
#include <memory>

#include "binding/conversions.h"
#include "binding/devices.h"
#include "binding/environment.h"
#include "binding/layer.h"
#include "binding/position_tables.h"
#include "binding/tensor.h"

namespace latte::binding {

namespace {

// (constructor: typeof LatteError): void
napi_value set_error_class(const Call& call) {
  call.environment->error_class = Reference(call.env, call[0]);
  return nullptr;
}

struct Export {
  const char* name;
  napi_callback function;
};

constexpr Export kExports[] = {
    {"setErrorClass", exported<set_error_class>},
    {"tensorFrom", exported<tensor_from>},
    {"tensorDType", exported<tensor_dtype>},
    {"tensorShape", exported<tensor_shape>},
    {"tensorDevice", exported<tensor_device>},
    {"devicePointer", exported<device_pointer>},
    {"arrayBuffer", exported<array_buffer>},
    {"alias", exported<alias>},
    {"rows", exported<rows>},
    {"disposeTensor", exported<dispose_tensor>},
    {"zeros", exported<zeros>},
    {"fromDevicePointer", exported<from_device_pointer>},
    {"convertSync", exported<convert_sync>},
    {"convert", exported<convert>},
    {"repeatRows", exported<repeat_rows>},
    {"createLayer", exported<create_layer>},
    {"parameters", exported<parameters>},
    {"load", exported<load>},
    {"state", exported<state>},
    {"forwardSync", exported<forward_sync>},
    {"forward", exported<forward>},
    {"cancel", exported<cancel>},
    {"disposeLayer", exported<dispose_layer>},
    {"sincosPosEmbed1d", exported<sincos_1d>},
    {"sincosPosEmbedFromGrid", exported<sincos_from_grid>},
    {"sincosPosEmbed2d", exported<sincos_2d>},
    {"sincosPosEmbed2dFromGrid", exported<sincos_2d_from_grid>},
    {"sincosPosEmbed3d", exported<sincos_3d>},
    {"checkSettings", exported<check_settings>},
    {"devices", exported<devices>},
    {"openDevice", exported<open_device_later>},
    {"deviceDiagnostics", exported<device_diagnostics>},
    {"memoryUsage", exported<memory_usage>},
};

/// Keeps the napi_env alive until Node's queued finalizers have run. When the garbage collector
/// finds handles, Node queues a task that uses the napi_env after it has released its own reference
/// to it. If that happens while an environment ends, no other reference may be left
/// (node_napi_env__::EnqueueFinalizer in Node.js 20.20). Hooks run from the last to the first. This
/// one is added first, so it holds its reference until that task has run.
void outlive_queued_finalizers(napi_env env) {
  LATTE_NAPI(
      env, napi_add_async_cleanup_hook,
      [](napi_async_cleanup_hook_handle hook, void*) { napi_remove_async_cleanup_hook(hook); },
      nullptr, nullptr);
}

void export_all(Napi::Env env, Napi::Object exports) {
  outlive_queued_finalizers(env);
  auto owned = std::make_unique<Environment>(env);
  Environment* environment = owned.get();
  LATTE_NAPI(
      env, napi_set_instance_data, environment,
      [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr);
  (void)owned.release();  // Node deletes it when the environment ends
  for (const auto& [name, function] : kExports) {
    napi_value made = nullptr;
    LATTE_NAPI(env, napi_create_function, name, NAPI_AUTO_LENGTH, function, environment, &made);
    define(env, exports, name, made);
  }
}

}  // namespace

}  // namespace latte::binding

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) noexcept {
  try {
    latte::binding::export_all(env, exports);
    return exports;
  } catch (...) {
    napi_throw_error(env, "ERR_STATE", latte::binding::caught_error(env).what());
    return {};
  }
}

}  // namespace

NODE_API_MODULE(latte_embeddings, initialize)
