import type { Fields } from './config-fields.js';
import {
  row,
  type Conditioning,
  type LatteRules,
  type LayerRow,
  type ModelRow,
} from './model-row.js';

/** The model that a checkpoint was recognised as. */
export interface ModelInfo {
  /** 'Latte of diffusers', 'Open-Sora-Plan v1.1, also of mindone' … */
  readonly name: string;
  /** The source of this model's rules: a project, its version and a file. */
  readonly readFrom: string;
  /** Why the checkpoint was recognised as this model: '_class_name is "LatteT2V", and …'. */
  readonly because: string;
  /** The model's rules as text: the scale of positions in a frame and in time, and its size conditions. */
  readonly rules: { readonly scale2d: string; readonly scale1d: string; readonly sizes: string };
}

/** The configuration of {@link LatteEmbeddings}: fields of a config.json, with defaults filled in. */
export interface LatteConfig {
  /** `_class_name`: 'LatteTransformer3DModel', 'LatteT2V', 'PixArtTransformer2DModel' … */
  readonly className: string | undefined;
  readonly model: ModelInfo;
  readonly numAttentionHeads: number;
  readonly attentionHeadDim: number;
  /** D: heads × head dim. */
  readonly innerDim: number;
  readonly inChannels: number;
  readonly patchSize: number;
  /** [height, width] of the latent that the position table is for, in latent pixels. */
  readonly sampleSize: readonly [number, number];
  /** K: the channels of the caption; null for a model without a caption projection. */
  readonly captionChannels: number | null;
  /** T: the frames of the temporal position table; null for a model without a time axis. */
  readonly videoLength: number | null;
  /** Divides the positions in a frame. */
  readonly interpolationScale: number;
  /** Divides the positions in time; null for a model without a time axis. */
  readonly interpolationScale1d: number | null;
  /** Whether resolution and aspect ratio are conditions beside the timestep. */
  readonly useAdditionalConditions: boolean;
  readonly normType: 'ada_norm_single';
  /** The whole file as parsed. Field names are untrusted: read it with Object.hasOwn. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** The sizes that a configuration of Latte's kind gives. @internal */
export type LatteSizes = Omit<LatteConfig, 'className' | 'model' | 'raw'>;

/** Reads and checks the fields of a config.json. @throws LatteError ERR_CHECKPOINT. @internal */
export function readLatteSizes(fields: Fields, rules: LatteRules): LatteSizes {
  const defaults = Object.assign(Object.create(null), rules.defaults) as Record<string, unknown>;
  const wholeNumber = (name: string, max: number): number =>
    fields.wholeNumber(name, max, defaults[name]);
  const normType = fields.withDefault('norm_type', defaults.norm_type);
  if (normType !== 'ada_norm_single') {
    throw fields.wrong('norm_type', '"ada_norm_single"');
  }
  const numAttentionHeads = wholeNumber('num_attention_heads', 4096);
  const attentionHeadDim = wholeNumber('attention_head_dim', 65_536);
  const innerDim = numAttentionHeads * attentionHeadDim;
  if (innerDim > 65_536 || innerDim % 4 !== 0) {
    throw fields.fail(
      `num_attention_heads × attention_head_dim must be a multiple of 4 up to 65536 (the position tables ask for it), but is ${innerDim}`,
    );
  }
  const patchSize = wholeNumber('patch_size', 1024);
  const sampleSize = fields.sampleSize('sample_size', defaults.sample_size);
  const [height] = sampleSize;
  if (height < patchSize)
    throw fields.wrong('sample_size', `at least patch_size (${patchSize}) high`);
  const useAdditionalConditions = rules.sizeConditions(fields, height);
  if (useAdditionalConditions && innerDim % 3 !== 0) {
    throw fields.fail(
      `num_attention_heads × attention_head_dim must be a multiple of 3 with size conditions, but is ${innerDim}`,
    );
  }
  const captions = fields.withDefault('caption_channels', defaults.caption_channels);
  const videoLength = rules.scale1d === null ? null : wholeNumber('video_length', 65_536);
  return {
    numAttentionHeads,
    attentionHeadDim,
    innerDim,
    inChannels: wholeNumber('in_channels', 65_536),
    patchSize,
    sampleSize: Object.freeze(sampleSize),
    captionChannels:
      captions === null && rules.captionOptional
        ? null
        : wholeNumber('caption_channels', 1_048_576),
    videoLength,
    interpolationScale: rules.scale2d(fields, height),
    interpolationScale1d: videoLength === null ? null : rules.scale1d!(fields, videoLength),
    useAdditionalConditions,
    normType,
  };
}

/** A row of a model of Latte's kind, which LatteEmbeddings reads. @internal */
export type LatteModelRow = ModelRow & { readonly latte: LatteRules };

/** Makes such a row: its layers and conditions follow from its sizes. @internal */
export function latteRow(
  facts: Pick<ModelRow, 'className' | 'version' | 'readFrom'>,
  latte: LatteRules,
): LatteModelRow {
  return {
    ...facts,
    latte,
    layers: (fields) => layersOf(readLatteSizes(fields, latte)),
    conditioning: (fields) => conditioningOf(readLatteSizes(fields, latte)),
  };
}

/** `findParameters` finds the tensors of these layers: checkpoints have several names for them. */
function layersOf(sizes: LatteSizes): LayerRow[] {
  const { innerDim, inChannels, patchSize, interpolationScale, captionChannels } = sizes;
  const [height, width] = sizes.sampleSize;
  const patch = { height, width, patchSize, inChannels, embedDim: innerDim, interpolationScale };
  const { useAdditionalConditions } = sizes;
  return [
    row('pos_embed', 'PatchEmbed', patch),
    row('adaln_single', 'AdaLayerNormSingle', { embeddingDim: innerDim, useAdditionalConditions }),
    ...(captionChannels === null
      ? []
      : [
          row('caption_projection', 'CaptionProjection', {
            inFeatures: captionChannels,
            hiddenSize: innerDim,
          }),
        ]),
  ];
}

function conditioningOf({ captionChannels, useAdditionalConditions }: LatteSizes): Conditioning {
  return {
    latent: 'posEmbed',
    time: 'adalnSingle',
    inputs: [],
    ...(captionChannels === null ? {} : { text: 'captionProjection' }),
    sizes: useAdditionalConditions,
  };
}
