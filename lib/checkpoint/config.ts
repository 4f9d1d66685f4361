import { join } from 'node:path';
import { show } from '../errors.js';
import { Fields } from './config-fields.js';
import { explain } from './file-kind.js';
import { CheckpointFile, checkpointError, reasonOf } from './file.js';
import { chooseModel, type ChosenModel, type Family } from './models.js';

const maxConfigBytes = 1024 * 1024;

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

/** A parsed config.json. @internal */
export interface ConfigFile {
  readonly path: string;
  readonly raw: Record<string, unknown>;
}

/**
 * Reads the config.json of a folder, and recognises its model.
 * @param family the naming of the weights, for a configuration without `_class_name`.
 * @throws LatteError ERR_CHECKPOINT, with `path`, naming the field that is missing or wrong.
 * @internal
 */
export async function readConfig(folder: string, family?: Family): Promise<LatteConfig> {
  return interpretConfig(await readConfigFile(folder), family);
}

/** Reads and parses the config.json of a folder. @throws LatteError ERR_CHECKPOINT. @internal */
export async function readConfigFile(folder: string): Promise<ConfigFile> {
  const file = await CheckpointFile.open(join(folder, 'config.json'));
  let parsed: unknown;
  try {
    if (file.size > maxConfigBytes) {
      throw file.fail(
        `has ${file.size} bytes, but a configuration may have ${maxConfigBytes} at the most`,
      );
    }
    const bytes = Buffer.alloc(file.size);
    await file.read(0, bytes);
    try {
      parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch (cause) {
      throw await explain(file, file.fail(`is not JSON: ${reasonOf(cause)}`, cause));
    }
  } finally {
    await file.close();
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw file.fail(`must hold an object, but holds ${show(parsed)}`);
  }
  return { path: file.path, raw: parsed as Record<string, unknown> };
}

/** Recognises the model of a config.json, and checks its fields. @throws LatteError ERR_CHECKPOINT. @internal */
export function interpretConfig({ path, raw }: ConfigFile, family?: Family): LatteConfig {
  const fields = new Fields(path, raw);
  const model = chooseModel(fields, family);
  const { row } = model;
  const defaults = Object.assign(Object.create(null), row.defaults) as Record<string, unknown>;
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
    throw checkpointError(
      path,
      `num_attention_heads × attention_head_dim must be a multiple of 4 up to 65536 (the position tables ask for it), but is ${innerDim}`,
    );
  }
  const patchSize = wholeNumber('patch_size', 1024);
  const sampleSize = fields.sampleSize('sample_size', defaults.sample_size);
  const [height] = sampleSize;
  if (height < patchSize)
    throw fields.wrong('sample_size', `at least patch_size (${patchSize}) high`);
  const useAdditionalConditions = row.sizeConditions(fields, height);
  if (useAdditionalConditions && innerDim % 3 !== 0) {
    throw checkpointError(
      path,
      `num_attention_heads × attention_head_dim must be a multiple of 3 with size conditions, but is ${innerDim}`,
    );
  }
  const captions = fields.withDefault('caption_channels', defaults.caption_channels);
  const videoLength = row.scale1d === null ? null : wholeNumber('video_length', 65_536);
  return Object.freeze({
    className: (fields.get('_class_name') ?? undefined) as string | undefined,
    model: describeModel(model),
    numAttentionHeads,
    attentionHeadDim,
    innerDim,
    inChannels: wholeNumber('in_channels', 65_536),
    patchSize,
    sampleSize: Object.freeze(sampleSize),
    captionChannels:
      captions === null && row.captionOptional ? null : wholeNumber('caption_channels', 1_048_576),
    videoLength,
    interpolationScale: row.scale2d(fields, height),
    interpolationScale1d: videoLength === null ? null : row.scale1d!(fields, videoLength),
    useAdditionalConditions,
    normType,
    raw: deepFreeze(raw),
  });
}

function describeModel({ row, because }: ChosenModel): ModelInfo {
  return Object.freeze({
    name: row.label,
    readFrom: row.readFrom,
    because,
    rules: Object.freeze({ ...row.rules }),
  });
}

/** The whole file as parsed, frozen. @internal */
export function freezeConfig(raw: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return deepFreeze(raw);
}

/** Freezes an object and all objects in it. Without recursion, because a file may nest deeply. */
function deepFreeze<T extends object>(root: T): T {
  const open: object[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const child of Object.values(Object.freeze(value)) as unknown[]) {
      if (typeof child === 'object' && child !== null) open.push(child);
    }
  }
  return root;
}
