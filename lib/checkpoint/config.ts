import { join } from 'node:path';
import { show } from '../errors.js';
import { explain } from './file-kind.js';
import { CheckpointFile, checkpointError, reasonOf } from './file.js';

const maxConfigBytes = 1024 * 1024;

/** What LatteEmbeddings takes from a transformer's config.json, with defaults filled in. */
export interface LatteConfig {
  /** `_class_name`: 'LatteTransformer3DModel', 'LatteT2V', 'PixArtTransformer2DModel' … */
  readonly className: string | undefined;
  readonly numAttentionHeads: number;
  readonly attentionHeadDim: number;
  /** D: heads × head dim. */
  readonly innerDim: number;
  readonly inChannels: number;
  readonly patchSize: number;
  /** Height and width of the latent that the stored position table is for, in latent pixels. */
  readonly sampleSize: readonly [number, number];
  /** K: the width of the caption's features. */
  readonly captionChannels: number;
  /** Frames that the temporal position table is for. */
  readonly videoLength: number;
  /** Divides the positions of the 2-D table. */
  readonly interpolationScale: number;
  /** Divides the positions of the temporal table. */
  readonly interpolationScale1d: number;
  /** Whether resolution and aspect ratio are conditions beside the timestep. */
  readonly useAdditionalConditions: boolean;
  readonly normType: 'ada_norm_single';
  /** The whole file as parsed. Field names are untrusted: read it with Object.hasOwn. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * Reads the config.json of a folder.
 * @throws LatteError ERR_CHECKPOINT, with `path`, naming the field that is missing or wrong.
 * @internal
 */
export async function readConfig(folder: string): Promise<LatteConfig> {
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
  return normalise(file.path, parsed as Record<string, unknown>);
}

function normalise(path: string, raw: Record<string, unknown>): LatteConfig {
  const fields = new Fields(path, raw);
  const normType = fields.get('norm_type');
  if (normType !== 'ada_norm_single') {
    throw fields.wrong('norm_type', '"ada_norm_single"');
  }
  const className =
    typeof fields.get('_class_name') === 'string'
      ? (fields.get('_class_name') as string)
      : undefined;
  const numAttentionHeads = fields.wholeNumber('num_attention_heads', 4096);
  const attentionHeadDim = fields.wholeNumber('attention_head_dim', 65_536);
  const innerDim = numAttentionHeads * attentionHeadDim;
  if (innerDim > 65_536 || innerDim % 4 !== 0) {
    throw checkpointError(
      path,
      `num_attention_heads × attention_head_dim must be a multiple of 4 up to 65536 (the position tables ask for it), but is ${innerDim}`,
    );
  }
  const patchSize = fields.wholeNumber('patch_size', 1024);
  const sampleSize = fields.sampleSize('sample_size');
  const videoLength = fields.wholeNumber('video_length', 65_536, 16);
  const useAdditionalConditions = fields.boolean(
    'use_additional_conditions',
    conditionsByDefault(className, sampleSize),
  );
  if (useAdditionalConditions && innerDim % 3 !== 0) {
    throw checkpointError(
      path,
      `num_attention_heads × attention_head_dim must be a multiple of 3 with size conditions, but is ${innerDim}`,
    );
  }
  if (sampleSize[0] < patchSize)
    throw fields.wrong('sample_size', `at least patch_size (${patchSize}) high`);
  return Object.freeze({
    className,
    numAttentionHeads,
    attentionHeadDim,
    innerDim,
    inChannels: fields.wholeNumber('in_channels', 65_536),
    patchSize,
    sampleSize: Object.freeze(sampleSize),
    captionChannels: fields.wholeNumber('caption_channels', 1_048_576),
    videoLength,
    interpolationScale: fields.scale(
      'interpolation_scale',
      Math.max(Math.floor(sampleSize[0] / 64), 1),
    ),
    interpolationScale1d: fields.scale(
      'interpolation_scale_1d',
      scale1dByDefault(className, raw, videoLength),
    ),
    useAdditionalConditions,
    normType,
    raw: deepFreeze(raw),
  });
}

/**
 * diffusers' PixArt turns size conditions on at sample_size 128; neither Latte does. Configurations
 * that do not say what they are count as PixArt: the original checkpoints come without a class name.
 */
function conditionsByDefault(
  className: string | undefined,
  [height]: readonly [number, number],
): boolean {
  return !className?.startsWith('Latte') && height === 128;
}

/** mindone's temporal table counts in units of 16 frames, diffusers' in frames. */
function scale1dByDefault(
  className: string | undefined,
  raw: Record<string, unknown>,
  videoLength: number,
): number {
  const mindone =
    className === 'LatteT2V' ||
    Object.hasOwn(raw, 'interpolation_scale_1d') ||
    Array.isArray(raw.sample_size);
  if (!mindone) return 1;
  return Math.max(Math.floor((videoLength - (videoLength % 2)) / 16), 1);
}

/** Reads fields of an untrusted object: only its own ones, and null counts as absent, as in Python. */
class Fields {
  readonly #path: string;
  readonly #raw: Record<string, unknown>;

  constructor(path: string, raw: Record<string, unknown>) {
    this.#path = path;
    this.#raw = raw;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#raw, name) ? (this.#raw[name] ?? undefined) : undefined;
  }

  wrong(name: string, expected: string): Error {
    if (!Object.hasOwn(this.#raw, name))
      return checkpointError(this.#path, `${name} is missing; it must be ${expected}`);
    return checkpointError(
      this.#path,
      `${name} must be ${expected}, but is ${show(this.#raw[name])}`,
    );
  }

  wholeNumber(name: string, max: number, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (isLength(value, max)) return value;
    throw this.wrong(name, `a whole number from 1 to ${max}`);
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.wrong(name, 'true, false or null');
  }

  scale(name: string, fallback: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.wrong(name, 'a positive number or null');
  }

  /** A number for both sides, or [height, width]. */
  sampleSize(name: string): [number, number] {
    const max = 16_384;
    const value = this.get(name);
    const sides: unknown[] = Array.isArray(value) ? value : [value, value];
    const [height, width] = sides;
    if (sides.length === 2 && isLength(height, max) && isLength(width, max)) return [height, width];
    throw this.wrong(name, `a whole number from 1 to ${max}, or [height, width] of such`);
  }
}

function isLength(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max;
}

/** Without recursion: the nesting of the file is not ours to choose. */
function deepFreeze<T extends object>(root: T): T {
  const open: object[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const child of Object.values(Object.freeze(value)) as unknown[]) {
      if (typeof child === 'object' && child !== null) open.push(child);
    }
  }
  return root;
}
