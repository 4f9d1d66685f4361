#include "binding/layer.h"

#include <string>

#include "backend/registry.h"
#include "binding/environment.h"
#include "binding/job.h"
#include "binding/tensor.h"
#include "layers/ada_layer_norm_single.h"
#include "layers/caption_projection.h"
#include "layers/combined_timestep_size_embeddings.h"
#include "layers/patch_embed.h"
#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"

namespace latte::binding {

namespace {

/// Options that TypeScript has checked; every one is there.
class Options {
 public:
  explicit Options(Napi::Object object) : object_(object) {}

  /// Dimensions are at least 1, but for the optional ones.
  int64_t integer(const char* name, int64_t least = 1) const {
    constexpr int64_t kMost = (int64_t{1} << 31) - 1;
    const int64_t value = object_.Get(name).As<Napi::Number>().Int64Value();
    if (value < least || value > kMost) fail(ErrorCode::kValue, name, " is out of range: ", value);
    return value;
  }
  double number(const char* name) const {
    return object_.Get(name).As<Napi::Number>().DoubleValue();
  }
  bool boolean(const char* name) const { return object_.Get(name).As<Napi::Boolean>().Value(); }
  Activation activation(const char* name) const {
    const std::string text = object_.Get(name).As<Napi::String>().Utf8Value();
    if (text == "silu" || text == "swish") return Activation::kSilu;
    if (text == "gelu") return Activation::kGelu;
    if (text == "relu") return Activation::kRelu;
    if (text == "mish") return Activation::kMish;
    if (text.empty()) return Activation::kNone;
    fail(ErrorCode::kValue, "Unsupported activation function: ", text);
  }

 private:
  Napi::Object object_;
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

}  // namespace

Napi::Function LayerObject::define(Napi::Env env) {
  return DefineClass(
      env, "Layer",
      {InstanceMethod<&LayerObject::parameters>("parameters"),
       InstanceMethod<&LayerObject::load>("load"), InstanceMethod<&LayerObject::state>("state"),
       InstanceMethod<&LayerObject::forward_sync>("forwardSync"),
       InstanceMethod<&LayerObject::forward>("forward"),
       InstanceMethod<&LayerObject::dispose>("dispose")});
}

LayerObject::LayerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    layer_ =
        make_layer(info[0].As<Napi::String>().Utf8Value(), Options(info[1].As<Napi::Object>()),
                   open_device(info[2].As<Napi::String>().Utf8Value()), dtype_argument(info[3]));
  });
}

Layer& LayerObject::layer() const {
  if (layer_ == nullptr) fail(ErrorCode::kDisposed, "the layer was disposed");
  return *layer_;
}

Napi::Value LayerObject::parameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto parameters = layer().parameters();
    auto array = Napi::Array::New(info.Env(), parameters.size());
    for (uint32_t i = 0; i < parameters.size(); ++i) {
      auto shape = Napi::Array::New(info.Env());
      for (uint32_t axis = 0; axis < parameters[i].shape.size(); ++axis) {
        shape.Set(axis, static_cast<double>(parameters[i].shape[axis]));
      }
      auto object = Napi::Object::New(info.Env());
      object.Set("name", parameters[i].name);
      object.Set("shape", shape);
      object.Set("required", parameters[i].required);
      array.Set(i, object);
    }
    return array;
  });
}

void LayerObject::load(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto names = info[0].As<Napi::Array>();
    const auto tensors = info[1].As<Napi::Array>();
    StateDict state;
    for (uint32_t i = 0; i < names.Length(); ++i) {
      state[names.Get(i).As<Napi::String>().Utf8Value()] =
          on_host(TensorObject::unwrap(tensors.Get(i)).resolve());
    }
    check_state(layer().parameters(), state);
    layer().load(state);
  });
}

Napi::Value LayerObject::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto entries = Napi::Array::New(info.Env());
    uint32_t i = 0;
    for (auto& [name, tensor] : layer().state()) {
      auto entry = Napi::Array::New(info.Env(), 2);
      entry.Set(0u, Napi::String::New(info.Env(), name));
      entry.Set(1u, TensorObject::make(info.Env(), tensor));
      entries.Set(i++, entry);
    }
    return entries;
  });
}

Plan LayerObject::plan(const Napi::CallbackInfo& info, const ForwardArguments& arguments) const {
  ForwardOptions options;
  if (info[2].IsObject()) {
    const auto object = info[2].As<Napi::Object>();
    const Napi::Value batch = object.Get("batchSize");
    if (batch.IsNumber()) options.batch_size = batch.As<Napi::Number>().Int64Value();
    const Napi::Value dtype = object.Get("hiddenDtype");
    if (dtype.IsString()) options.hidden_dtype = dtype_argument(dtype);
  }
  return layer().plan(arguments.input_specs(), options);
}

Napi::Value LayerObject::forward_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ForwardArguments arguments(info[0].As<Napi::Array>(), info[1].As<Napi::Array>());
    return run_now(info.Env(), {layer().device(), plan(info, arguments)}, arguments);
  });
}

Napi::Value LayerObject::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ForwardArguments arguments(info[0].As<Napi::Array>(), info[1].As<Napi::Array>());
    return run_later(info.Env(), {layer().device(), plan(info, arguments)}, arguments);
  });
}

void LayerObject::dispose(const Napi::CallbackInfo&) { layer_.reset(); }

}  // namespace latte::binding
