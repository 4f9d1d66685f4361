import { showName } from './file.js';
import type { Fields } from './config-fields.js';
import { siblings, type SiblingRow } from './siblings.js';

/** The naming of a checkpoint's tensors: that of diffusers, or of the original PixArt. @internal */
export type Family = 'diffusers' | 'PixArt';

/**
 * One model of Latte's kind, or one version of a model's class: everything in which the configurations
 * of these models differ.
 * @internal
 */
export interface ModelRow {
  /** The model's name in `inspect` and in the docs. */
  readonly label: string;
  readonly className: string;
  /**
   * For a class of several versions: the condition by which this version is recognised, and the same
   * condition as text. Of several rows of a class the first whose condition holds is taken.
   */
  readonly version?: { readonly when: (fields: Fields) => boolean; readonly text: string };
  /** The source of the rules: the `__init__` in this file. */
  readonly readFrom: string;
  /** The defaults of fields that are left out. A field without a default is required. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Whether `caption_channels` may be null: the caption then has no projection. */
  readonly captionOptional: boolean;
  /** The scale of the positions in a frame. */
  readonly scale2d: (fields: Fields, height: number) => number;
  /** The scale of the positions in time; null for a model without a time axis. */
  readonly scale1d: ((fields: Fields, videoLength: number) => number) | null;
  /** Whether resolution and aspect ratio are conditions beside the timestep. */
  readonly sizeConditions: (fields: Fields, height: number) => boolean;
  /** The three rules above as text, for `inspect` and the docs. */
  readonly rules: { readonly scale2d: string; readonly scale1d: string; readonly sizes: string };
}

const fromSize = (_: Fields, height: number): number => Math.max(Math.floor(height / 64), 1);
const fromSizeRule = 'max(sample_size // 64, 1)';
const none = { sizeConditions: () => false, sizes: 'none' };

/** Fields that LatteT2V has since Open-Sora-Plan v1.1.0. A configuration with one of them is of v1.1. */
const fieldsOfV11 = [
  'use_rope',
  'compress_kv_factor',
  'model_max_length',
  'interpolation_scale_1d',
];

const latteT2VDefaults = {
  num_attention_heads: 16,
  attention_head_dim: 88,
  caption_channels: null,
  video_length: 16,
};

/** The fields that PixArt's two rows share. Its class was Transformer2DModel before diffusers 0.28. */
const pixArt = {
  captionOptional: true,
  scale2d: (fields: Fields, height: number) =>
    fields.scale('interpolation_scale') ?? fromSize(fields, height),
  scale1d: null,
  sizeConditions: (fields: Fields, height: number) =>
    fields.boolean('use_additional_conditions') ?? height === 128,
  rules: {
    scale2d: `interpolation_scale, or if it is null ${fromSizeRule}`,
    scale1d: 'no time axis',
    sizes: 'use_additional_conditions, or if it is null sample_size == 128',
  },
};

const pixArtDefaults = {
  num_attention_heads: 16,
  attention_head_dim: 72,
  in_channels: 4,
  sample_size: 128,
  patch_size: 2,
  norm_type: 'ada_norm_single',
  caption_channels: null,
};

/** The models of Latte's kind; `siblings` has the others. @internal */
export const models: readonly ModelRow[] = [
  {
    label: 'Latte of diffusers',
    className: 'LatteTransformer3DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/latte_transformer_3d.py',
    defaults: {
      num_attention_heads: 16,
      attention_head_dim: 88,
      sample_size: 64,
      video_length: 16,
    },
    captionOptional: false,
    scale2d: fromSize,
    scale1d: () => 1,
    sizeConditions: none.sizeConditions,
    rules: { scale2d: fromSizeRule, scale1d: '1', sizes: none.sizes },
  },
  {
    label: 'Latte of Vchitect',
    className: 'LatteT2V',
    version: {
      when: (fields) => typeof fields.get('sample_size') === 'number',
      text: 'sample_size is a number',
    },
    readFrom: 'Vchitect/Latte at 04a9c21, models/latte_t2v.py',
    defaults: latteT2VDefaults,
    captionOptional: true,
    scale2d: fromSize,
    scale1d: () => 1,
    sizeConditions: (_, height) => height === 128,
    rules: { scale2d: fromSizeRule, scale1d: '1', sizes: 'sample_size == 128' },
  },
  {
    label: 'Open-Sora-Plan v1.1, also of mindone',
    className: 'LatteT2V',
    version: {
      when: (fields) => fieldsOfV11.some((name) => fields.get(name) !== undefined),
      text: `one of ${fieldsOfV11.join(', ')} is there`,
    },
    readFrom:
      'Open-Sora-Plan v1.1.0, opensora/models/diffusion/latte/modeling_latte.py; mindone at 037e850, examples/opensora_pku, the same file',
    defaults: latteT2VDefaults,
    captionOptional: true,
    scale2d: fromSize,
    scale1d: (fields, frames) =>
      Math.max(
        fields.scale('interpolation_scale_1d') ?? Math.floor((frames - (frames % 2)) / 16),
        1,
      ),
    sizeConditions: none.sizeConditions,
    rules: {
      scale2d: fromSizeRule,
      scale1d:
        'max(interpolation_scale_1d, 1), or if it is null max((T - T % 2) // 16, 1), where T is video_length',
      sizes: none.sizes,
    },
  },
  {
    label: 'Open-Sora-Plan v1.0.0',
    className: 'LatteT2V',
    version: { when: () => true, text: `none of ${fieldsOfV11.join(', ')} is there` },
    readFrom: 'Open-Sora-Plan v1.0.0, opensora/models/diffusion/latte/modeling_latte.py',
    defaults: latteT2VDefaults,
    captionOptional: true,
    scale2d: fromSize,
    scale1d: (_, frames) => Math.max(Math.floor(frames / 5), 1),
    sizeConditions: none.sizeConditions,
    rules: { scale2d: fromSizeRule, scale1d: 'max(video_length // 5, 1)', sizes: none.sizes },
  },
  {
    label: 'PixArt of diffusers',
    className: 'PixArtTransformer2DModel',
    readFrom: 'diffusers 0.42.1, models/transformers/pixart_transformer_2d.py',
    defaults: pixArtDefaults,
    ...pixArt,
  },
  {
    label: 'PixArt of diffusers before 0.28',
    className: 'Transformer2DModel',
    version: {
      when: (fields) => fields.get('norm_type') === 'ada_norm_single',
      text: 'norm_type is "ada_norm_single", which diffusers reads as PixArtTransformer2DModel',
    },
    readFrom: 'diffusers 0.42.1, models/model_loading_utils.py (_CLASS_REMAPPING_DICT)',
    defaults: pixArtDefaults,
    ...pixArt,
  },
];

const latteClasses: readonly string[] = [...new Set(models.map((each) => each.className))];

/** Classes that have Latte's tensor names but compute something else, and why they are refused. */
const others: Readonly<Record<string, string>> = {
  OpenSoraT2V:
    'Open-Sora-Plan v1.2 and later is another model: its positions are in the patch embedding, or rotary',
};

/** A model, and why the configuration was recognised as this model. @internal */
export interface ChosenModel {
  readonly row: ModelRow;
  readonly because: string;
}

/**
 * Chooses the row of a configuration by its `_class_name`; if that is missing, by the other fields and
 * the weights' names.
 * @throws LatteError ERR_CHECKPOINT for a class without a row.
 * @internal
 */
export function chooseModel(fields: Fields, family: Family | undefined): ChosenModel {
  const className = fields.get('_class_name') ?? undefined;
  if (className === undefined) return withoutClass(fields, family);
  if (typeof className !== 'string') throw fields.wrong('_class_name', 'a string');
  const rows = models.filter((row) => row.className === className);
  const row = rows.find(({ version }) => version?.when(fields) ?? true);
  if (rows.length === 0) {
    throw unknownClass(fields, className, latteClasses);
  }
  if (row === undefined) {
    throw fields.fail(
      `_class_name ${showName(className)} is known only if ${rows.map(({ version }) => version!.text).join(' or ')}`,
    );
  }
  const version = row.version === undefined ? '' : `, and ${row.version.text}`;
  return { row, because: `_class_name is ${showName(className)}${version}` };
}

/**
 * The row of a configuration in `siblings`; undefined if the model is in {@link models}.
 * @throws LatteError ERR_CHECKPOINT for a class that neither table has.
 * @internal
 */
export function findSibling(fields: Fields): SiblingRow | undefined {
  const className = fields.get('_class_name') ?? undefined;
  const sibling = siblings.find((row) => row.className === className);
  if (sibling !== undefined || typeof className !== 'string') return sibling;
  if (!latteClasses.includes(className)) {
    throw unknownClass(fields, className, [
      ...latteClasses,
      ...siblings.map((row) => row.className),
    ]);
  }
  return undefined;
}

function unknownClass(fields: Fields, className: string, known: readonly string[]): Error {
  const isSibling = siblings.some((row) => row.className === className);
  const reason = Object.hasOwn(others, className)
    ? ` (${others[className]})`
    : isSibling
      ? ' (TransformerEmbeddings reads it)'
      : '';
  return fields.fail(
    `_class_name ${showName(className)} cannot be read here${reason}; the known classes are ${known.join(', ')}`,
  );
}

function withoutClass(fields: Fields, family: Family | undefined): ChosenModel {
  if (fields.get('sample_size_t') !== undefined) {
    throw fields.fail(
      `sample_size_t is there, so this is OpenSoraT2V, which cannot be read here (${others.OpenSoraT2V})`,
    );
  }
  const choose = (label: string, because: string): ChosenModel => ({
    // Without a class name the class is a guess, so its defaults are not used, except for T = 16.
    row: { ...models.find((row) => row.label === label)!, defaults: { video_length: 16 } },
    because: `there is no _class_name, and ${because}`,
  });
  const pixArtLabel = 'PixArt of diffusers';
  if (family === 'PixArt')
    return choose(pixArtLabel, "the weights have the original PixArt's names");
  for (const row of models) {
    const { className, version } = row;
    if (className !== 'LatteT2V' || version === undefined) continue;
    if (version.when(fields) && isVideo(fields)) return choose(row.label, version.text);
  }
  return choose(pixArtLabel, 'there are no fields of a video model');
}

/** Whether a configuration without a class name has a field of a video model, and so is a LatteT2V's. */
function isVideo(fields: Fields): boolean {
  return (
    Array.isArray(fields.get('sample_size')) ||
    ['video_length', ...fieldsOfV11].some((name) => fields.get(name) !== undefined)
  );
}
