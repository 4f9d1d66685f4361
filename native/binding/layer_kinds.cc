#include "binding/layer_kinds.h"

#include <algorithm>
#include <iterator>

#include "layers/ada_layer_norm_single.h"
#include "layers/cogvideox_patch_embed.h"
#include "layers/combined_timestep_size_embeddings.h"
#include "layers/combined_timestep_text_proj_embeddings.h"
#include "layers/linear.h"
#include "layers/patch_embed.h"
#include "layers/patch_embed_3d.h"
#include "layers/pixart_alpha_text_projection.h"
#include "layers/qwen_timestep_proj_embeddings.h"
#include "layers/sana_combined_timestep_guidance_embeddings.h"
#include "layers/timestep_embedding.h"
#include "layers/timesteps.h"
#include "layers/wan_time_text_image_embedding.h"

namespace latte::binding {

int64_t LayerOptions::integer(const char* name, int64_t least) const {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  const int64_t value = integer_of(env_, property_of(env_, object_, name));
  if (value < least || value > kMost) fail(ErrorCode::kValue, name, " is out of range: ", value);
  return value;
}

double LayerOptions::number(const char* name) const {
  return number_of(env_, property_of(env_, object_, name));
}

bool LayerOptions::boolean(const char* name) const {
  return boolean_of(env_, property_of(env_, object_, name));
}

Activation LayerOptions::activation(const char* name) const {
  const std::string text = string_of(env_, property_of(env_, object_, name));
  // Activations are computed in float32 in any case, so silu_fp32 is silu.
  if (text == "silu" || text == "swish" || text == "silu_fp32") return Activation::kSilu;
  if (text == "gelu") return Activation::kGelu;
  if (text == "gelu_tanh") return Activation::kGeluTanh;
  if (text == "relu") return Activation::kRelu;
  if (text == "mish") return Activation::kMish;
  if (text.empty()) return Activation::kNone;
  fail(ErrorCode::kValue, "Unsupported activation function: ", text);
}

namespace {

using Options = const LayerOptions&;
using Made = std::unique_ptr<Layer>;

struct LayerKind {
  const char* name;
  Made (*make)(Options options, Device& device, DType dtype);
};

Made make_combined_text(Options options, Device& device, DType dtype, bool guidance) {
  return std::make_unique<CombinedTimestepTextProjEmbeddings>(
      device, dtype,
      CombinedTimestepTextProjConfig{options.integer("embeddingDim"),
                                     options.integer("pooledProjectionDim"), guidance});
}

constexpr LayerKind kKinds[] = {
    {"PatchEmbed",
     [](Options options, Device& device, DType dtype) -> Made {
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
       config.positions = options.boolean("positions");
       config.pos_embed_max_size = options.integer("posEmbedMaxSize", 0);
       return std::make_unique<PatchEmbed>(device, dtype, config);
     }},
    {"PatchEmbed3d",
     [](Options options, Device& device, DType dtype) -> Made {
       PatchEmbed3dConfig config;
       config.patch = {options.integer("patchFrames"), options.integer("patchHeight"),
                       options.integer("patchWidth")};
       config.in_channels = options.integer("inChannels");
       config.embed_dim = options.integer("embedDim");
       config.bias = options.boolean("bias");
       return std::make_unique<PatchEmbed3d>(device, dtype, config);
     }},
    {"CogVideoXPatchEmbed",
     [](Options options, Device& device, DType dtype) -> Made {
       CogVideoXPatchEmbedConfig config;
       config.patch_size = options.integer("patchSize");
       config.patch_size_t = options.integer("patchSizeT", 0);
       config.in_channels = options.integer("inChannels");
       config.embed_dim = options.integer("embedDim");
       config.text_embed_dim = options.integer("textEmbedDim");
       config.bias = options.boolean("bias");
       config.sample_width = options.integer("sampleWidth");
       config.sample_height = options.integer("sampleHeight");
       config.sample_frames = options.integer("sampleFrames");
       config.temporal_compression_ratio = options.integer("temporalCompressionRatio");
       config.max_text_seq_length = options.integer("maxTextSeqLength");
       config.spatial_interpolation_scale = options.number("spatialInterpolationScale");
       config.temporal_interpolation_scale = options.number("temporalInterpolationScale");
       config.positions = options.boolean("usePositionalEmbeddings");
       config.learned_positions = options.boolean("useLearnedPositionalEmbeddings");
       return std::make_unique<CogVideoXPatchEmbed>(device, dtype, config);
     }},
    {"Linear",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<Linear>(
           device, dtype,
           LinearConfig{options.integer("inFeatures"), options.integer("outFeatures"),
                        options.boolean("bias")});
     }},
    {"Timesteps",
     [](Options options, Device& device, DType) -> Made {
       TimestepsConfig config;
       config.num_channels = options.integer("numChannels");
       config.flip_sin_to_cos = options.boolean("flipSinToCos");
       config.downscale_freq_shift = options.number("downscaleFreqShift");
       config.scale = options.number("scale");
       config.max_period = options.number("maxPeriod");
       return std::make_unique<Timesteps>(device, config);
     }},
    {"TimestepEmbedding",
     [](Options options, Device& device, DType dtype) -> Made {
       TimestepEmbeddingConfig config;
       config.in_channels = options.integer("inChannels");
       config.time_embed_dim = options.integer("timeEmbedDim");
       config.out_dim = options.integer("outDim", 0);
       config.cond_proj_dim = options.integer("condProjDim", 0);
       config.activation = options.activation("actFn");
       config.post_activation = options.activation("postActFn");
       config.bias = options.boolean("sampleProjBias");
       return std::make_unique<TimestepEmbedding>(device, dtype, config);
     }},
    {"CombinedTimestepSizeEmbeddings",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<CombinedTimestepSizeEmbeddings>(
           device, dtype,
           CombinedConfig{options.integer("embeddingDim"), options.integer("sizeEmbDim"),
                          options.boolean("useAdditionalConditions")});
     }},
    {"CombinedTimestepTextProjEmbeddings",
     [](Options options, Device& device, DType dtype) {
       return make_combined_text(options, device, dtype, /*guidance=*/false);
     }},
    {"CombinedTimestepGuidanceTextProjEmbeddings",
     [](Options options, Device& device, DType dtype) {
       return make_combined_text(options, device, dtype, /*guidance=*/true);
     }},
    {"SanaCombinedTimestepGuidanceEmbeddings",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<SanaCombinedTimestepGuidanceEmbeddings>(
           device, dtype, options.integer("embeddingDim"));
     }},
    {"QwenTimestepProjEmbeddings",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<QwenTimestepProjEmbeddings>(
           device, dtype,
           QwenTimestepProjConfig{options.integer("embeddingDim"),
                                  options.boolean("useAdditionalTCond")});
     }},
    {"WanTimeTextImageEmbedding",
     [](Options options, Device& device, DType dtype) -> Made {
       WanTimeTextImageConfig config;
       config.dim = options.integer("dim");
       config.time_freq_dim = options.integer("timeFreqDim");
       config.time_proj_dim = options.integer("timeProjDim");
       config.text_embed_dim = options.integer("textEmbedDim");
       config.image_embed_dim = options.integer("imageEmbedDim", 0);
       config.pos_embed_seq_len = options.integer("posEmbedSeqLen", 0);
       return std::make_unique<WanTimeTextImageEmbedding>(device, dtype, config);
     }},
    {"PixArtAlphaTextProjection",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<PixArtAlphaTextProjection>(
           device, dtype,
           PixArtAlphaTextProjectionConfig{
               options.integer("inFeatures"), options.integer("hiddenSize"),
               options.integer("outFeatures"), options.activation("actFn")});
     }},
    {"CaptionProjection",
     [](Options options, Device& device, DType dtype) -> Made {
       const int64_t hidden_size = options.integer("hiddenSize");
       return std::make_unique<PixArtAlphaTextProjection>(
           device, dtype,
           PixArtAlphaTextProjectionConfig{options.integer("inFeatures"), hidden_size, hidden_size,
                                           Activation::kGeluTanh, "CaptionProjection"});
     }},
    {"AdaLayerNormSingle",
     [](Options options, Device& device, DType dtype) -> Made {
       return std::make_unique<AdaLayerNormSingle>(
           device, dtype,
           AdaLayerNormSingleConfig{options.integer("embeddingDim"),
                                    options.boolean("useAdditionalConditions"),
                                    options.integer("numModParams")});
     }},
};

}  // namespace

Made make_layer(const std::string& kind, const LayerOptions& options, Device& device, DType dtype) {
  if (!is_layer_dtype(dtype)) fail(ErrorCode::kDType, "no layer computes in ", dtype_name(dtype));
  // Timesteps has no weights, and its results are float32 on every device: it has no dtype to
  // check.
  if (kind != "Timesteps") device.check_dtype(dtype);
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const LayerKind& each) { return kind == each.name; });
  if (found == std::end(kKinds)) fail(ErrorCode::kValue, "there is no layer ", kind);
  return found->make(options, device, dtype);
}

}  // namespace latte::binding
