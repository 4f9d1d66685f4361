// The addon's entry point, and its functions.
#include <napi.h>

#include <algorithm>

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/job.h"
#include "binding/layer.h"
#include "binding/tensor_functions.h"
#include "core/position_table.h"

namespace latte::binding {

namespace {

/// Sizes that TypeScript has checked; checked again so that nothing is written out of bounds.
int64_t size_argument(const Napi::Value& value) {
  constexpr int64_t kMost = int64_t{1} << 32;
  const int64_t size = value.As<Napi::Number>().Int64Value();
  if (size < 0 || size > kMost) fail(ErrorCode::kValue, "a size of ", size, " is out of range");
  return size;
}

/// The table [rows, dim] to fill; dim is a multiple of `divisor`.
Tensor make_table(const Napi::Value& dtype_value, int64_t rows, int64_t dim, int64_t divisor) {
  const DType dtype = dtype_argument(dtype_value);
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) {
    fail(ErrorCode::kDType, "a position table is float32 or float64");
  }
  if (dim % divisor != 0) fail(ErrorCode::kValue, "dim must be a multiple of ", divisor);
  return allocate_on_host({dtype, {rows, dim}});
}

Napi::Value set_error_class(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).error_class = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

/// Calls function(T*) with the data of a float32 or float64 tensor.
template <class Function>
void with_real(const Tensor& tensor, const Function& function) {
  if (tensor.dtype == DType::kFloat64) {
    function(static_cast<double*>(tensor.data));
  } else {
    function(static_cast<float*>(tensor.data));
  }
}

/// A tensor's values as doubles.
std::vector<double> as_doubles(TensorObject& object) {
  const Tensor tensor = on_host(object.resolve());
  std::vector<double> values(static_cast<size_t>(tensor.size()));
  const TensorView to{{DType::kFloat64, tensor.shape}, values.data()};
  run_and_wait(open_device("cpu"), [&](Queue& queue) { queue.convert(tensor, to); });
  return values;
}

/// (embedDim, length, interpolationScale, dtype)
Napi::Value sincos_1d(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int64_t dim = size_argument(info[0]);
    const int64_t length = size_argument(info[1]);
    const double scale = info[2].As<Napi::Number>().DoubleValue();
    Tensor table = make_table(info[3], length, dim, 2);
    std::vector<double> positions(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i) positions[i] = static_cast<double>(i) / scale;
    with_real(table, [&](auto* rows) { sincos_rows(positions.data(), length, dim, rows); });
    return TensorObject::make(info.Env(), std::move(table));
  });
}

/// (embedDim, positions, dtype)
Napi::Value sincos_from_grid(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int64_t dim = size_argument(info[0]);
    const auto positions = as_doubles(TensorObject::unwrap(info[1]));
    const auto count = static_cast<int64_t>(positions.size());
    Tensor table = make_table(info[2], count, dim, 2);
    with_real(table, [&](auto* rows) { sincos_rows(positions.data(), count, dim, rows); });
    return TensorObject::make(info.Env(), std::move(table));
  });
}

/// (embedDim, gridHeight, gridWidth, extraTokens, interpolationScale, baseSize, dtype)
Napi::Value sincos_2d(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto integer = [&](size_t i) { return size_argument(info[i]); };
    const int64_t dim = integer(0), height = integer(1), width = integer(2), extra = integer(3);
    Tensor table = make_table(info[6], extra + element_count({height, width}), dim, 4);
    with_real(table, [&](auto* rows) {
      using T = std::remove_pointer_t<decltype(rows)>;
      std::fill_n(rows, extra * dim, T{0});
      grid_table<T>(height, width, dim, integer(5), info[4].As<Napi::Number>().DoubleValue())
          .expand(rows + extra * dim);
    });
    return TensorObject::make(info.Env(), std::move(table));
  });
}

/// (embedDim, grid [2, ...], dtype)
Napi::Value sincos_2d_from_grid(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int64_t dim = size_argument(info[0]);
    const auto positions = as_doubles(TensorObject::unwrap(info[1]));
    const auto count = static_cast<int64_t>(positions.size() / 2);
    Tensor table = make_table(info[2], count, dim, 4);
    with_real(table, [&](auto* rows) {
      using T = std::remove_pointer_t<decltype(rows)>;
      std::vector<T> half(static_cast<size_t>(count * (dim / 2)));
      for (int64_t axis = 0; axis < 2; ++axis) {
        sincos_rows(positions.data() + axis * count, count, dim / 2, half.data());
        for (int64_t row = 0; row < count; ++row) {
          std::copy_n(half.data() + row * (dim / 2), dim / 2, rows + row * dim + axis * (dim / 2));
        }
      }
    });
    return TensorObject::make(info.Env(), std::move(table));
  });
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  const auto infos = guarded(info.Env(), [] { return list_devices(); });
  auto array = Napi::Array::New(info.Env(), infos.size());
  for (uint32_t i = 0; i < infos.size(); ++i) {
    auto memory = Napi::Object::New(info.Env());
    memory.Set("free", static_cast<double>(infos[i].memory_free));
    memory.Set("total", static_cast<double>(infos[i].memory_total));
    auto object = Napi::Object::New(info.Env());
    object.Set("name", infos[i].name);
    object.Set("kind", infos[i].kind);
    if (!infos[i].instruction_set.empty()) object.Set("instructionSet", infos[i].instruction_set);
    if (infos[i].threads > 0) object.Set("threads", infos[i].threads);
    if (!infos[i].soc.empty()) object.Set("soc", infos[i].soc);
    object.Set("memory", memory);
    array.Set(i, object);
  }
  return array;
}

Napi::Value device_diagnostics(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const NpuDiagnostics npu = npu_diagnostics();
    auto object = Napi::Object::New(info.Env());
    const auto set = [&](const char* name, const std::string& text) {
      if (!text.empty()) object.Set(name, text);
    };
    object.Set("available", npu.available);
    object.Set("reason", npu.reason);
    object.Set("deviceCount", npu.device_count);
    object.Set("kernelsPlugin", npu.kernels_plugin);
    set("libraryPath", npu.library_path);
    set("loaderMessage", npu.loader_message);
    set("soc", npu.soc);
    set("aclVersion", npu.acl_version);
    set("kernelsPluginPath", npu.kernels_plugin_path);
    set("kernelsReason", npu.kernels_reason);
    return object;
  });
}

/// (device)
Napi::Value memory_usage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const MemoryUsage usage = open_device(info[0].As<Napi::String>().Utf8Value()).memory_usage();
    auto object = Napi::Object::New(info.Env());
    object.Set("live", static_cast<double>(usage.live));
    object.Set("pooled", static_cast<double>(usage.pooled));
    object.Set("limit", static_cast<double>(usage.limit));
    return object;
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto environment = std::make_unique<Environment>(env);
  const Napi::Function tensor = TensorObject::define(env);
  environment->tensor_class = Napi::Persistent(tensor);
  env.SetInstanceData(environment.release());
  exports.Set("Tensor", tensor);
  exports.Set("Layer", LayerObject::define(env));
  const auto export_function = [&](const char* name,
                                   Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  export_function("setErrorClass", set_error_class);
  export_function("zeros", zeros);
  export_function("convertSync", convert_sync);
  export_function("convert", convert);
  export_function("repeatRows", repeat_rows);
  export_function("fromDevicePointer", from_device_pointer);
  export_function("sincosPosEmbed1d", sincos_1d);
  export_function("sincosPosEmbedFromGrid", sincos_from_grid);
  export_function("sincosPosEmbed2d", sincos_2d);
  export_function("sincosPosEmbed2dFromGrid", sincos_2d_from_grid);
  export_function("devices", devices);
  export_function("deviceDiagnostics", device_diagnostics);
  export_function("memoryUsage", memory_usage);
  return exports;
}

}  // namespace

}  // namespace latte::binding

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  return latte::binding::initialise(env, exports);
}

NODE_API_MODULE(latte_embeddings, initialise)
