#include "binding/layer.h"

#include <string>
#include <utility>

#include "binding/environment.h"
#include "binding/forward.h"
#include "binding/handle.h"
#include "binding/tensor.h"
#include "layers/ada_layer_norm_single.h"
#include "layers/caption_projection.h"
#include "layers/combined_timestep_size_embeddings.h"
#include "layers/patch_embed.h"
#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"

namespace latte::binding {

namespace {

struct NativeLayer {
  static constexpr napi_type_tag kTag = {0x6c617474652d656d, 0x6c617965722d3032};
  static constexpr const char* kName = "layer";

  std::unique_ptr<Layer> layer;

  void released(napi_env) noexcept {}
};

Layer& layer_of(const Call& call) { return *Handle<NativeLayer>::get(call.env, call[0]).layer; }

/// Options that TypeScript has checked; every one is there.
class Options {
 public:
  Options(napi_env env, napi_value object) : env_(env), object_(object) {}

  /// Dimensions are at least 1, except the optional ones.
  int64_t integer(const char* name, int64_t least = 1) const {
    constexpr int64_t kMost = (int64_t{1} << 31) - 1;
    const int64_t value = integer_of(env_, property_of(env_, object_, name));
    if (value < least || value > kMost) fail(ErrorCode::kValue, name, " is out of range: ", value);
    return value;
  }
  double number(const char* name) const {
    return number_of(env_, property_of(env_, object_, name));
  }
  bool boolean(const char* name) const {
    return boolean_of(env_, property_of(env_, object_, name));
  }
  Activation activation(const char* name) const {
    const std::string text = string_of(env_, property_of(env_, object_, name));
    if (text == "silu" || text == "swish") return Activation::kSilu;
    if (text == "gelu") return Activation::kGelu;
    if (text == "relu") return Activation::kRelu;
    if (text == "mish") return Activation::kMish;
    if (text.empty()) return Activation::kNone;
    fail(ErrorCode::kValue, "Unsupported activation function: ", text);
  }

 private:
  napi_env env_;
  napi_value object_;
};

std::unique_ptr<Layer> make_layer(const std::string& kind, const Options& options, Device& device,
                                  DType dtype) {
  if (!is_layer_dtype(dtype)) fail(ErrorCode::kDType, "no layer computes in ", dtype_name(dtype));
  // Timesteps has no weights: its results are float32 on every device.
  if (kind != "Timesteps") device.check_dtype(dtype);
  if (kind == "PatchEmbed") {
    PatchEmbedConfig config;
    config.height = options.integer("height");
    config.width = options.integer("width");
    config.patch_size = options.integer("patchSize");
    config.in_channels = options.integer("inChannels");
    config.embed_dim = options.integer("embedDim");
    config.layer_norm = options.boolean("layerNorm");
    config.flatten = options.boolean("flatten");
    config.bias = options.boolean("bias");
    config.interpolation_scale = options.number("interpolationScale");
    return std::make_unique<PatchEmbed>(device, dtype, config);
  }
  if (kind == "Timesteps") {
    TimestepsConfig config;
    config.num_channels = options.integer("numChannels");
    config.flip_sin_to_cos = options.boolean("flipSinToCos");
    config.downscale_freq_shift = options.number("downscaleFreqShift");
    config.scale = options.number("scale");
    config.max_period = options.number("maxPeriod");
    return std::make_unique<Timesteps>(device, config);
  }
  if (kind == "TimestepEmbedding") {
    TimestepEmbeddingConfig config;
    config.in_channels = options.integer("inChannels");
    config.time_embed_dim = options.integer("timeEmbedDim");
    config.out_dim = options.integer("outDim", 0);
    config.cond_proj_dim = options.integer("condProjDim", 0);
    config.activation = options.activation("actFn");
    config.post_activation = options.activation("postActFn");
    config.bias = options.boolean("sampleProjBias");
    return std::make_unique<TimestepEmbedding>(device, dtype, config);
  }
  if (kind == "CombinedTimestepSizeEmbeddings") {
    return std::make_unique<CombinedTimestepSizeEmbeddings>(
        device, dtype,
        CombinedConfig{options.integer("embeddingDim"), options.integer("sizeEmbDim"),
                       options.boolean("useAdditionalConditions")});
  }
  if (kind == "CaptionProjection") {
    return std::make_unique<CaptionProjection>(
        device, dtype,
        CaptionProjectionConfig{options.integer("inFeatures"), options.integer("hiddenSize")});
  }
  if (kind == "AdaLayerNormSingle") {
    return std::make_unique<AdaLayerNormSingle>(
        device, dtype,
        AdaLayerNormSingleConfig{options.integer("embeddingDim"),
                                 options.boolean("useAdditionalConditions")});
  }
  fail(ErrorCode::kValue, "there is no layer ", kind);
}

ForwardOptions forward_options(const Call& call) {
  ForwardOptions options;
  if (is_undefined(call.env, call[3])) return options;
  const napi_value batch = property_of(call.env, call[3], "batchSize");
  if (!is_undefined(call.env, batch)) options.batch_size = integer_of(call.env, batch);
  const napi_value dtype = property_of(call.env, call[3], "hiddenDtype");
  if (!is_undefined(call.env, dtype)) options.hidden_dtype = dtype_of(call.env, dtype);
  return options;
}

}  // namespace

napi_value create_layer(const Call& call) {
  const std::string kind = string_of(call.env, call[0]);
  const DType dtype = dtype_of(call.env, call[3]);
  auto native = std::make_unique<NativeLayer>();
  native->layer = make_layer(kind, Options(call.env, call[1]), device_of(call.env, call[2]), dtype);
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
