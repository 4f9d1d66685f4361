import type { Conditioning } from '../checkpoint/model-row.js';
import { LatteError, showShape } from '../errors.js';
import { Timesteps } from '../layers/timesteps.js';
import { bytesOf } from '../tensor/operations.js';
import { handleToReadNow } from '../tensor/state.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { isTensor, stateOf, Tensor } from '../tensor/tensor.js';
import { conditionNames, conditionsOf } from './conditions.js';
import type { AnyLayer } from './layers.js';
import { checkLiveTensor } from './timesteps.js';

/**
 * The conditions of a prompt, for {@link TransformerEmbeddings.prepare}. docs/checkpoints.md lists which
 * of them each model needs; others are refused.
 */
export interface TransformerPrepareOptions {
  /** One number for each denoising step, as the model's timestep layer takes it. */
  timesteps: readonly number[] | Float32Array | Float64Array | Int32Array | BigInt64Array | Tensor;
  /** `[B, L, K]`: the text encoder's states, for models with a layer for them. */
  encoderHiddenStates?: Tensor;
  /** `[b, s, K]`: the image encoder's states (Wan). */
  encoderHiddenStatesImage?: Tensor;
  /** [B, P] or [1, P]: the pooled text (SD3, Flux, HunyuanVideo). */
  pooledProjection?: Tensor;
  /** [B] or [1]: the guidance scale, as the layer takes it (Flux, HunyuanVideo and Sana with guidance). */
  guidance?: TensorLike;
  /** [B] or [1] of zeros and ones (QwenImage with use_additional_t_cond). */
  additionTCond?: TensorLike;
  /** [B] or [1]: the number beside the timestep (CogVideoX with ofs_embed_dim; its pipeline gives 2). */
  ofs?: TensorLike;
  /** [b, 2] height and width (PixArt with size conditions). */
  resolution?: TensorLike;
  /** [b, 1] or [b]: height divided by width (PixArt with size conditions). */
  aspectRatio?: TensorLike;
  /** The rows of each step. Default: those of the pooled text, else of the text, else 1. */
  batchSize?: number;
}

/** @internal */
export const prepareNames = ['timesteps', ...conditionNames, 'batchSize'] as const;

type Given = Partial<TransformerPrepareOptions>;

/**
 * Throws ERR_VALUE if a condition is missing that the model needs, or given that it does not take.
 * @internal
 */
export function checkGiven(given: Given, conditioning: Conditioning, className: string): void {
  const { needed, optional } = conditionsOf(conditioning);
  const taken = [...needed, ...optional];
  for (const name of conditionNames) {
    if (given[name] === undefined && needed.includes(name)) {
      throw new LatteError('ERR_VALUE', `${name} is missing: ${className} needs it`);
    }
    if (given[name] !== undefined && !taken.includes(name)) {
      const known = taken.length === 0 ? 'no condition' : taken.join(', ');
      throw new LatteError(
        'ERR_VALUE',
        `${name} is nothing that this ${className} takes; it takes ${known}`,
      );
    }
  }
  for (const name of [
    'encoderHiddenStates',
    'encoderHiddenStatesImage',
    'pooledProjection',
  ] as const) {
    if (given[name] !== undefined) checkLiveTensor(given[name], name);
  }
}

/** The weight of a layer whose last axis is that of the text's states. */
const textWeight = /^(?:text_embedder\.)?(?:linear_1\.)?weight$/;

/**
 * Checks axes and dtype of the text's states. The layer of the text would accept any leading axes, and
 * its messages have its own name for the states.
 * @param layer the layer that takes the text.
 * @throws LatteError ERR_SHAPE, ERR_DTYPE.
 * @internal
 */
export function checkStates({ encoderHiddenStates }: Given, layer: AnyLayer): void {
  if (encoderHiddenStates === undefined) return;
  const { shape, dtype } = encoderHiddenStates;
  const channels = layer.parameters().find(({ name }) => textWeight.test(name))!.shape[1]!;
  if (shape.length !== 3 || shape[2] !== channels) {
    throw new LatteError(
      'ERR_SHAPE',
      `encoderHiddenStates must have shape [B, L, ${channels}], but has ${showShape(shape)}`,
    );
  }
  if (dtype === 'int32' || dtype === 'int64') {
    throw new LatteError(
      'ERR_DTYPE',
      `encoderHiddenStates must have a floating dtype, but is ${dtype}`,
    );
  }
}

/**
 * Checks that the rows of text and image fit the batch.
 * @param layer the layer that takes the text, and the image if there is one.
 * @throws LatteError ERR_SHAPE.
 * @internal
 */
export function checkStateRows(given: Given, layer: AnyLayer, batch: number): void {
  const { encoderHiddenStates: text, encoderHiddenStatesImage: image } = given;
  if (text !== undefined && text.shape[0] !== 1 && text.shape[0] !== batch) {
    throw wrongRows(text, 'encoderHiddenStates', batch);
  }
  // The layer itself refuses an image of other axes, and an odd number of images if it has positions:
  // then it makes one row of each two images.
  if (image?.shape.length !== 3) return;
  const isPaired = layer.parameters().some(({ name }) => name === 'image_embedder.pos_embed');
  const rows = image.shape[0]!;
  if (!isPaired) checkTiles(image, 'encoderHiddenStatesImage', batch);
  else if (rows === 0 || (rows % 2 === 0 && (2 * batch) % rows !== 0)) {
    throw new LatteError(
      'ERR_SHAPE',
      `encoderHiddenStatesImage must have a number of pairs that divides the batch of ${batch}, but has ${rows / 2}`,
    );
  }
}

/** The options that are read on the host. They are small. */
const hostNames = ['timesteps', 'additionTCond', 'ofs'] as const;

/** The first option that is read on the host, and is on another device. @internal */
export function findDistant(given: Given): (typeof hostNames)[number] | undefined {
  return hostNames.find((name) => {
    const value = given[name];
    return isTensor(value) && !value.disposed && value.device !== 'cpu';
  });
}

/** The results of the layer that takes the timesteps. @internal */
export type TimeResults = Readonly<Record<string, Tensor | null>>;

/**
 * Starts the layer that takes the timesteps for all steps. The caller's arrays are read before this
 * returns. The results have S·r rows, step by step: r is 1 if one row serves the whole batch.
 * @throws LatteError ERR_SHAPE, ERR_VALUE; as a rejection what the layer throws.
 * @internal
 */
export function embedTimesteps(
  layers: Readonly<Record<string, AnyLayer>>,
  conditioning: Conditioning,
  given: Given,
  timesteps: readonly number[],
  batch: number,
  stop: { signal?: AbortSignal },
): Promise<TimeResults> {
  const { inputs, text, time, sizes, sinusoids, ofs } = conditioning;
  const layer = layers[time!]!;
  const conditions: Record<string, Tensor> = {};
  for (const name of inputs) conditions[name] = checkRows(asTensor(given[name], name), name, batch);
  const { additionTCond } = conditions;
  if (additionTCond !== undefined) {
    conditions.additionTCond = commonRow(additionTCond, 'additionTCond');
  }
  if (sizes === true) {
    for (const name of ['resolution', 'aspectRatio'] as const) {
      const size = asTensor(given[name], name);
      checkLiveTensor(size, name);
      checkSizeAxes(size, name);
      checkTiles(size, name, batch);
      conditions[name] = commonRow(size, name);
    }
  }
  const isOneRow = Object.values(conditions).every(({ shape }) => shape[0] === 1);
  const rows = isOneRow ? 1 : batch;
  if (sinusoids !== undefined) {
    const values = conditions.ofs?.toFloat32Array();
    const steps = sinusoidEmbedding(layer, sinusoids, timesteps, stop);
    if (ofs === undefined || values === undefined) return named(steps);
    const added = sinusoidEmbedding(layers[ofs.layer]!, ofs.sinusoids, values, stop);
    return named(sumOf(steps, added, timesteps.length, rows));
  }
  const { encoderHiddenStates, encoderHiddenStatesImage } = given;
  const states = text === time ? { encoderHiddenStates, encoderHiddenStatesImage } : {};
  const input = { timestep: timesteps, ...conditions, ...states };
  return named(layer.forwardSteps(rows, input, stop));
}

async function named(result: Promise<unknown>): Promise<TimeResults> {
  const value = await result;
  return value instanceof Tensor ? { temb: value } : (value as TimeResults);
}

/** A condition [B, …] or [1, …]. */
function checkRows(tensor: Tensor, name: string, batch: number): Tensor {
  checkLiveTensor(tensor, name);
  const [rows, ...more] = tensor.shape;
  const isRow = name === 'pooledProjection' || more.length === 0;
  if (isRow && (rows === 1 || rows === batch)) return tensor;
  throw wrongRows(tensor, name, batch);
}

function wrongRows({ shape }: Tensor, name: string, batch: number): LatteError {
  return new LatteError(
    'ERR_SHAPE',
    `${name} must have 1 row or ${batch}, as many as the batch, but has shape ${showShape(shape)}`,
  );
}

/** A layer's embedding of the sinusoids of numbers: [numbers, D]. */
async function sinusoidEmbedding(
  layer: AnyLayer,
  sinusoids: Readonly<Record<string, unknown>>,
  numbers: TensorLike,
  stop: { signal?: AbortSignal },
): Promise<Tensor> {
  // On the calling thread, so that the layer's forward has started when prepare() returns its promise,
  // and a dispose() of the model lets it complete.
  using projection = new Timesteps({ ...sinusoids, device: 'cpu' } as never);
  using projected = projection.forwardSync(numbers);
  return (await layer.forward(projected, stop)) as Tensor;
}

/** steps [S, D] and rows [r, D] or [1, D] → [S·r, D]. On the host: both are small. */
async function sumOf(
  steps: Promise<Tensor>,
  added: Promise<Tensor>,
  count: number,
  rows: number,
): Promise<Tensor> {
  const made = await Promise.allSettled([steps, added]);
  try {
    const [a, b] = made;
    if (a.status === 'rejected') throw a.reason;
    if (b.status === 'rejected') throw b.reason;
    const { device, dtype } = a.value;
    const [left, right] = [await floatsOf(a.value), await floatsOf(b.value)];
    const dim = a.value.shape[1]!;
    using sum = Tensor.zeros([count * rows, dim], { device: 'cpu' });
    const values = sum.data as Float32Array;
    for (let i = 0; i < values.length; i++) {
      const step = Math.floor(i / (rows * dim));
      values[i] = left[step * dim + (i % dim)]! + right[(i % (rows * dim)) % right.length]!;
    }
    return await sum.to({ device, dtype });
  } finally {
    for (const each of made) if (each.status === 'fulfilled') each.value.dispose();
  }
}

async function floatsOf(tensor: Tensor): Promise<Float32Array> {
  using host = await tensor.to('cpu');
  return host.toFloat32Array();
}

/**
 * Checks how many axes a size condition has.
 * @throws LatteError ERR_SHAPE.
 * @internal
 */
export function checkSizeAxes({ shape }: Tensor, name: 'resolution' | 'aspectRatio'): void {
  const axes = shape.length;
  if (axes === 2 || (axes === 1 && name === 'aspectRatio')) return;
  const expected = name === 'resolution' ? '[b, 2]' : '[b, 1] or [b]';
  throw new LatteError(
    'ERR_SHAPE',
    `${name} must have shape ${expected}, but has ${showShape(shape)}`,
  );
}

/** Throws unless the rows of a size, or of an image's states, divide the batch. */
function checkTiles(tensor: Tensor, name: string, batch: number): void {
  const rows = tensor.shape[0] ?? 0;
  if (rows === 0 || batch % rows !== 0) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must have a number of rows that divides the batch of ${batch}, but has ${rows}`,
    );
  }
}

/**
 * The one row that all rows of a condition have; the condition itself if its rows differ, or if it is
 * not on the cpu. One row serves a whole batch, so only one row of each step has to be computed.
 * @throws LatteError ERR_STATE if a forward still writes the tensor.
 * @internal
 */
export function commonRow(tensor: Tensor, name: string): Tensor {
  const [rows = 0, ...lengths] = tensor.shape;
  if (rows < 2 || tensor.device !== 'cpu') return tensor;
  handleToReadNow(stateOf(tensor), name);
  const { buffer, byteOffset, byteLength } = bytesOf(tensor);
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const width = bytes.length / rows;
  // Each row equals the one before it if the bytes equal themselves, moved by one row.
  if (!bytes.subarray(width).equals(bytes.subarray(0, -width))) return tensor;
  // An array of JavaScript's, so that nobody has to dispose the tensor.
  const values = (tensor.data as Float32Array).slice(0, tensor.size / rows);
  return new Tensor(tensor.dtype, values, [1, ...lengths]);
}
