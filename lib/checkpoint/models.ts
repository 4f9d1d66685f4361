import type { Fields } from './config-fields.js';
import { latteModels } from './latte-models.js';
import {
  flag,
  guided,
  innerDim,
  linear,
  ofsDim,
  row,
  textProjection,
  timeText,
  whole,
  wholeOrNone,
  type Conditioning,
  type LayerRow,
  type ModelRow,
} from './model-row.js';

/** The models that the package knows. @internal */
export const models: readonly ModelRow[] = [
  ...latteModels,
  {
    className: 'SD3Transformer2DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_sd3.py',
    layers: (fields: Fields): LayerRow[] => {
      const size = whole(fields, 'sample_size', 128);
      return [
        row('pos_embed', 'PatchEmbed', {
          height: size,
          width: size,
          patchSize: whole(fields, 'patch_size', 2),
          inChannels: whole(fields, 'in_channels', 16),
          embedDim: innerDim(fields),
          posEmbedMaxSize: whole(fields, 'pos_embed_max_size', 96),
        }),
        timeText(fields, { guidance: false }),
        linear(
          'context_embedder',
          whole(fields, 'joint_attention_dim'),
          whole(fields, 'caption_projection_dim'),
        ),
      ];
    },
    conditioning: () => ({
      latent: 'posEmbed',
      time: 'timeTextEmbed',
      inputs: guided({ guidance: false }),
      text: 'contextEmbedder',
    }),
  },
  {
    className: 'FluxTransformer2DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_flux.py',
    layers: (fields) => [
      linear('x_embedder', whole(fields, 'in_channels'), innerDim(fields)),
      timeText(fields, { guidance: flag(fields, 'guidance_embeds', false) }),
      linear('context_embedder', whole(fields, 'joint_attention_dim'), innerDim(fields)),
    ],
    conditioning: (fields) => ({
      latent: 'xEmbedder',
      time: 'timeTextEmbed',
      inputs: guided({ guidance: flag(fields, 'guidance_embeds', false) }),
      text: 'contextEmbedder',
    }),
  },
  {
    className: 'WanTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_wan.py',
    layers: (fields: Fields): LayerRow[] => {
      const dim = innerDim(fields);
      return [
        row(
          'patch_embedding',
          'PatchEmbed3d',
          {
            patchSize: fields.withDefault('patch_size', [1, 2, 2]),
            inChannels: whole(fields, 'in_channels'),
            embedDim: dim,
          },
          { without: 'proj.' },
        ),
        row('condition_embedder', 'WanTimeTextImageEmbedding', {
          dim,
          timeFreqDim: whole(fields, 'freq_dim', 256),
          timeProjDim: 6 * dim,
          textEmbedDim: whole(fields, 'text_dim', 4096),
          imageEmbedDim: wholeOrNone(fields, 'image_dim'),
          posEmbedSeqLen: wholeOrNone(fields, 'pos_embed_seq_len'),
        }),
      ];
    },
    // This layer also takes the text.
    conditioning: (fields) => ({
      latent: 'patchEmbedding',
      time: 'conditionEmbedder',
      inputs: [],
      text: 'conditionEmbedder',
      image: wholeOrNone(fields, 'image_dim') !== undefined,
    }),
  },
  {
    className: 'HunyuanVideoTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_hunyuan_video.py',
    layers: (fields: Fields): LayerRow[] => {
      const side = whole(fields, 'patch_size', 2);
      return [
        row('x_embedder', 'PatchEmbed3d', {
          patchSize: [whole(fields, 'patch_size_t', 1), side, side],
          inChannels: whole(fields, 'in_channels'),
          embedDim: innerDim(fields),
        }),
        timeText(fields, { guidance: flag(fields, 'guidance_embeds', true) }),
      ];
    },
    conditioning: (fields) => ({
      latent: 'xEmbedder',
      time: 'timeTextEmbed',
      inputs: guided({ guidance: flag(fields, 'guidance_embeds', true) }),
    }),
  },
  {
    className: 'SanaTransformer2DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/sana_transformer.py',
    layers: (fields: Fields): LayerRow[] => {
      const size = whole(fields, 'sample_size', 32);
      const scale = fields.scale('interpolation_scale');
      const dim = innerDim(fields);
      return [
        row('patch_embed', 'PatchEmbed', {
          height: size,
          width: size,
          patchSize: whole(fields, 'patch_size', 1),
          inChannels: whole(fields, 'in_channels'),
          embedDim: dim,
          ...(scale === null ? { posEmbedType: null } : { interpolationScale: scale }),
        }),
        flag(fields, 'guidance_embeds', false)
          ? row('time_embed', 'SanaCombinedTimestepGuidanceEmbeddings', { embeddingDim: dim })
          : row('time_embed', 'AdaLayerNormSingle', { embeddingDim: dim }),
        textProjection(fields),
      ];
    },
    conditioning: (fields) => ({
      latent: 'patchEmbed',
      time: 'timeEmbed',
      inputs: flag(fields, 'guidance_embeds', false) ? ['guidance'] : [],
      text: 'captionProjection',
    }),
  },
  {
    className: 'LTXVideoTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_ltx.py',
    layers: (fields) => [
      linear('proj_in', whole(fields, 'in_channels'), innerDim(fields)),
      row('time_embed', 'AdaLayerNormSingle', { embeddingDim: innerDim(fields) }),
      textProjection(fields),
    ],
    conditioning: () => ({
      latent: 'projIn',
      time: 'timeEmbed',
      inputs: [],
      text: 'captionProjection',
    }),
  },
  {
    className: 'AllegroTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_allegro.py',
    layers: (fields) => [
      row('pos_embed', 'PatchEmbed', {
        height: wholeOrNone(fields, 'sample_height'),
        width: wholeOrNone(fields, 'sample_width'),
        patchSize: whole(fields, 'patch_size', 2),
        inChannels: whole(fields, 'in_channels'),
        embedDim: innerDim(fields),
        posEmbedType: null,
      }),
      row('adaln_single', 'AdaLayerNormSingle', { embeddingDim: innerDim(fields) }),
      textProjection(fields),
    ],
    conditioning: () => ({
      latent: 'posEmbed',
      time: 'adalnSingle',
      inputs: [],
      text: 'captionProjection',
    }),
  },
  {
    className: 'CogVideoXTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/cogvideox_transformer_3d.py',
    layers: (fields: Fields): LayerRow[] => {
      const dim = innerDim(fields);
      const actFn = fields.get('timestep_activation_fn');
      const ofs = ofsDim(fields);
      const timeEmbedDim = whole(fields, 'time_embed_dim');
      const given = (name: string): unknown => fields.get(name) ?? undefined;
      return [
        row('patch_embed', 'CogVideoXPatchEmbed', {
          patchSize: given('patch_size'),
          patchSizeT: given('patch_size_t'),
          inChannels: given('in_channels'),
          embedDim: dim,
          textEmbedDim: given('text_embed_dim'),
          bias: given('patch_bias'),
          sampleWidth: given('sample_width'),
          sampleHeight: given('sample_height'),
          sampleFrames: given('sample_frames'),
          temporalCompressionRatio: given('temporal_compression_ratio'),
          maxTextSeqLength: given('max_text_seq_length'),
          spatialInterpolationScale: given('spatial_interpolation_scale'),
          temporalInterpolationScale: given('temporal_interpolation_scale'),
          usePositionalEmbeddings: !flag(fields, 'use_rotary_positional_embeddings', false),
          useLearnedPositionalEmbeddings: flag(fields, 'use_learned_positional_embeddings', false),
        }),
        row('time_embedding', 'TimestepEmbedding', { inChannels: dim, timeEmbedDim, actFn }),
        ...(ofs === undefined
          ? []
          : [
              row('ofs_embedding', 'TimestepEmbedding', {
                inChannels: ofs,
                timeEmbedDim: ofs,
                actFn,
              }),
            ]),
      ];
    },
    conditioning: (fields: Fields): Conditioning => {
      const shared = {
        flipSinToCos: flag(fields, 'flip_sin_to_cos', true),
        downscaleFreqShift: fields.number('freq_shift', 0),
      };
      const sinusoids = { numChannels: innerDim(fields), ...shared };
      const latent = 'patchEmbed';
      const numChannels = ofsDim(fields);
      if (numChannels === undefined)
        return { latent, time: 'timeEmbedding', inputs: [], sinusoids };
      const isSum = numChannels === whole(fields, 'time_embed_dim');
      return {
        latent,
        time: isSum ? 'timeEmbedding' : undefined,
        why: 'ofs_embed_dim and time_embed_dim differ, and the embeddings of both are added',
        inputs: ['ofs'],
        sinusoids,
        ofs: { layer: 'ofsEmbedding', sinusoids: { numChannels, ...shared } },
      };
    },
  },
  {
    className: 'QwenImageTransformer2DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/transformer_qwenimage.py',
    layers: (fields) => [
      linear('img_in', whole(fields, 'in_channels'), innerDim(fields)),
      linear('txt_in', whole(fields, 'joint_attention_dim'), innerDim(fields)),
      row('time_text_embed', 'QwenTimestepProjEmbeddings', {
        embeddingDim: innerDim(fields),
        useAdditionalTCond: flag(fields, 'use_additional_t_cond', false),
      }),
    ],
    conditioning: (fields) => ({
      latent: 'imgIn',
      time: 'timeTextEmbed',
      largestTimestep: 1,
      inputs: flag(fields, 'use_additional_t_cond', false) ? ['additionTCond'] : [],
    }),
  },
];
