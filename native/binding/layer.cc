#include "binding/layer.h"

#include <string>
#include <utility>

#include "binding/environment.h"
#include "binding/forward.h"
#include "binding/handle.h"
#include "binding/layer_kinds.h"
#include "binding/tensor.h"

namespace latte::binding {

namespace {

/// The native part of a layer's handle.
struct NativeLayer {
  static constexpr napi_type_tag kTag = {0x6c617474652d656d, 0x6c617965722d3032};
  static constexpr const char* kName = "layer";

  std::unique_ptr<Layer> layer;

  void released(napi_env) noexcept {}
};

Layer& layer_of(const Call& call) { return *Handle<NativeLayer>::get(call.env, call[0]).layer; }

ForwardOptions forward_options(const Call& call) {
  ForwardOptions options;
  if (is_undefined(call.env, call[3])) return options;
  const napi_value batch = property_of(call.env, call[3], "batchSize");
  if (!is_undefined(call.env, batch)) options.batch_size = integer_of(call.env, batch);
  const napi_value length = property_of(call.env, call[3], "timestepSeqLen");
  if (!is_undefined(call.env, length)) options.timestep_seq_len = integer_of(call.env, length);
  const napi_value rows = property_of(call.env, call[3], "rowsPerStep");
  if (!is_undefined(call.env, rows)) options.rows_per_step = integer_of(call.env, rows);
  const napi_value dtype = property_of(call.env, call[3], "hiddenDtype");
  if (!is_undefined(call.env, dtype)) options.hidden_dtype = dtype_of(call.env, dtype);
  return options;
}

}  // namespace

napi_value create_layer(const Call& call) {
  const std::string kind = string_of(call.env, call[0]);
  const DType dtype = dtype_of(call.env, call[3]);
  auto native = std::make_unique<NativeLayer>();
  native->layer =
      make_layer(kind, LayerOptions(call.env, call[1]), device_named(call.env, call[2]), dtype);
  return Handle<NativeLayer>::make(call.env, std::move(native));
}

napi_value parameters(const Call& call) {
  const auto parameters = layer_of(call).parameters();
  const napi_value array = make_array(call.env, parameters.size());
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    const napi_value object = make_object(call.env);
    define(call.env, object, "name", make(call.env, parameters[i].name));
    define(call.env, object, "shape", make(call.env, parameters[i].shape));
    define(call.env, object, "required", make_boolean(call.env, parameters[i].required));
    define_element(call.env, array, i, object);
  }
  return array;
}

napi_value load(const Call& call) {
  std::vector<std::string> names(length_of(call.env, call[1]));
  for (uint32_t i = 0; i < names.size(); ++i) {
    names[i] = string_of(call.env, element_of(call.env, call[1], i));
  }
  const ForwardArguments tensors(call.env, call[2], make_array(call.env, 0));
  // No JavaScript runs from here on.
  Layer& layer = layer_of(call);
  StateDict state;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i >= tensors.inputs.size() || !tensors.inputs[i]) {
      fail(ErrorCode::kValue, "there is no tensor for ", names[i]);
    }
    state[names[i]] = on_host(tensors.inputs[i]->resolve());
  }
  check_state(layer.parameters(), state);
  layer.load(state);
  return nullptr;
}

napi_value state(const Call& call) {
  const StateDict state = layer_of(call).state();
  const napi_value entries = make_array(call.env, state.size());
  uint32_t i = 0;
  for (const auto& [name, tensor] : state) {
    const napi_value entry = make_array(call.env, 2);
    define_element(call.env, entry, 0, make(call.env, name));
    define_element(call.env, entry, 1, make_tensor(call.env, tensor));
    define_element(call.env, entries, i++, entry);
  }
  return entries;
}

napi_value forward_sync(const Call& call) {
  const ForwardOptions options = forward_options(call);
  const ForwardArguments arguments(call.env, call[1], call[2]);
  Layer& layer = layer_of(call);
  forward_now(call.env, layer.device(), layer.plan(arguments.input_specs(), options), arguments);
  return nullptr;
}

napi_value forward(const Call& call) {
  const int64_t id = integer_of(call.env, call[4]);
  const ForwardOptions options = forward_options(call);
  const ForwardArguments arguments(call.env, call[1], call[2]);
  Layer& layer = layer_of(call);
  return forward_later(*call.environment, layer.device(),
                       layer.plan(arguments.input_specs(), options), arguments, id);
}

napi_value cancel(const Call& call) {
  call.environment->schedule.cancel(integer_of(call.env, call[0]));
  return nullptr;
}

napi_value dispose_layer(const Call& call) {
  Handle<NativeLayer>::free(call.env, call[0]);
  return nullptr;
}

}  // namespace latte::binding
