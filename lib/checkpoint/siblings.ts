import type { Fields } from './config-fields.js';

/** A layer of a model: its class, its options, and the names of its tensors. @internal */
export interface LayerRow {
  /** The attribute of the model, in camel case. */
  readonly name: string;
  /** The name of the layer's class. */
  readonly kind: string;
  /** The layer's options, without device and dtype. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The text before the layer's parameter names in a checkpoint. */
  readonly prefix: string;
  /** A prefix of the layer's parameter names that the checkpoint's names lack: 'proj.'. */
  readonly without?: string;
}

/** Which layers embed a model's conditions, for `prepare`. @internal */
export interface Conditioning {
  /** The layer that takes the timesteps; undefined if the model has no plan. */
  readonly time: string | undefined;
  /** Why the model has no plan. */
  readonly why?: string;
  /** The conditions that this layer takes beside the timesteps, by the names in its forward. */
  readonly inputs: readonly ('pooledProjection' | 'guidance' | 'additionTCond' | 'ofs')[];
  /** The layer that takes the text's states. */
  readonly text?: string;
  /** The options of Timesteps, if the layer takes sinusoids instead of timesteps. */
  readonly sinusoids?: Readonly<Record<string, unknown>>;
  /** The layer whose embedding of `ofs` is added to that of the timestep, and its sinusoids. */
  readonly ofs?: { readonly layer: string; readonly sinusoids: Readonly<Record<string, unknown>> };
}

/** A model whose embedding layers follow from its configuration alone. @internal */
export interface SiblingRow {
  readonly className: string;
  readonly readFrom: string;
  readonly layers: (fields: Fields) => LayerRow[];
  readonly conditioning: (fields: Fields) => Conditioning;
}

const most = 2 ** 24;

function whole(fields: Fields, name: string, fallback?: number): number {
  return fields.wholeNumber(name, most, fallback);
}

/** A whole number, or undefined if the field is left out or null. */
function wholeOrNone(fields: Fields, name: string): number | undefined {
  return fields.get(name) == null ? undefined : whole(fields, name);
}

function flag(fields: Fields, name: string, fallback: boolean): boolean {
  return fields.boolean(name) ?? fallback;
}

function innerDim(fields: Fields): number {
  return whole(fields, 'num_attention_heads') * whole(fields, 'attention_head_dim');
}

/** The row of an attribute: timeTextEmbed of time_text_embed … @internal */
export function row(
  attribute: string,
  kind: string,
  options: Record<string, unknown>,
  more: Partial<LayerRow> = {},
): LayerRow {
  const name = attribute.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return { name, kind, options, prefix: `${attribute}.`, ...more };
}

function linear(attribute: string, inFeatures: number, outFeatures: number): LayerRow {
  return row(attribute, 'Linear', { inFeatures, outFeatures });
}

function textProjection(fields: Fields): LayerRow {
  return row('caption_projection', 'PixArtAlphaTextProjection', {
    inFeatures: whole(fields, 'caption_channels'),
    hiddenSize: innerDim(fields),
  });
}

/** The channels of CogVideoX's second number beside the timestep; 0 means none, as null does. */
function ofsDim(fields: Fields): number | undefined {
  return fields.get('ofs_embed_dim') === 0 ? undefined : wholeOrNone(fields, 'ofs_embed_dim');
}

function timeText(fields: Fields, { guidance }: { guidance: boolean }): LayerRow {
  const kind = `CombinedTimestep${guidance ? 'Guidance' : ''}TextProjEmbeddings`;
  return row('time_text_embed', kind, {
    embeddingDim: innerDim(fields),
    pooledProjectionDim: whole(fields, 'pooled_projection_dim'),
  });
}

const guided = ({ guidance }: { guidance: boolean }): Conditioning['inputs'] =>
  guidance ? ['pooledProjection', 'guidance'] : ['pooledProjection'];

/** The models besides Latte and PixArt. @internal */
export const siblings: readonly SiblingRow[] = [
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
    conditioning: () => ({ time: 'conditionEmbedder', inputs: [], text: 'conditionEmbedder' }),
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
    conditioning: () => ({ time: 'timeEmbed', inputs: [], text: 'captionProjection' }),
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
    conditioning: () => ({ time: 'adalnSingle', inputs: [], text: 'captionProjection' }),
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
        downscaleFreqShift: fields.withDefault('freq_shift', 0),
      };
      const sinusoids = { numChannels: innerDim(fields), ...shared };
      const numChannels = ofsDim(fields);
      if (numChannels === undefined) return { time: 'timeEmbedding', inputs: [], sinusoids };
      const isSum = numChannels === whole(fields, 'time_embed_dim');
      return {
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
      time: 'timeTextEmbed',
      inputs: flag(fields, 'use_additional_t_cond', false) ? ['additionTCond'] : [],
    }),
  },
];
