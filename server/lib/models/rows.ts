import type { LatteEmbeddings } from 'latte-embeddings';
import { Tensor } from 'latte-embeddings';
import { bytesOf, dtypeOf, type Datatype, type WireTensor } from '../protocol/tensor.js';
import type { RunTimes } from './model.js';

// The layers compute each row of their input independently. So the rows of several requests are computed
// together here, and each request gets its own rows of the result.

/** Adds the time since its last call (at first, since it was made) to one of the times. */
export type Stopwatch = (part: keyof RunTimes) => void;

export function stopwatch(times: RunTimes): Stopwatch {
  let last = process.hrtime.bigint();
  return (part) => {
    const now = process.hrtime.bigint();
    times[part] += Number(now - last);
    last = now;
  };
}

/** A tensor of the parts' bytes, one after the other. Its memory is the library's, so forwards do not copy it. */
export function concatenate(
  parts: readonly Uint8Array[],
  datatype: Datatype,
  shape: readonly number[],
): Tensor {
  const tensor = Tensor.zeros(shape, { dtype: dtypeOf(datatype) });
  const bytes = bytesOf(tensor.data);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return tensor;
}

/** Copies the rows of a result to the host, `counts[i]` rows for request i, and disposes the result. */
export async function takeRows(result: Tensor, counts: readonly number[]): Promise<Buffer[]> {
  try {
    using host = await result.to('cpu');
    const bytes = bytesOf(host.data);
    const rows = counts.reduce((sum, count) => sum + count, 0);
    const rowBytes = rows === 0 ? 0 : bytes.byteLength / rows;
    let next = 0;
    return counts.map((count) => {
      const from = next * rowBytes;
      next += count;
      return Buffer.from(bytes.subarray(from, next * rowBytes));
    });
  } finally {
    result.dispose();
  }
}

/** Projects the rows of captions [B, L, K] of one datatype; [sum of B·L, D]. */
export async function projectCaptions(
  latte: LatteEmbeddings,
  captions: readonly WireTensor[],
  signal: AbortSignal,
  took: Stopwatch,
): Promise<Tensor> {
  const { datatype } = captions[0]!;
  const width = captions[0]!.shape[2]!;
  const rows = captions.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
  const parts = captions.map(({ bytes }) => bytes);
  using input = concatenate(parts, datatype, [rows, width]);
  took('input');
  if (latte.captionProjection !== null) return latte.captionProjection.forward(input, { signal });
  const { device, dtype } = latte.adaLayerNormSingle;
  return input.to({ device, dtype });
}

/** The rows of a timestep embedding: one timestep for each; with size conditions also its sizes. */
export interface StepRows {
  /** [N] */
  readonly timesteps: Float32Array;
  /** [N, 2], row by row. */
  readonly resolution?: Float32Array;
  /** [N] */
  readonly aspectRatio?: Float32Array;
}

/** Embeds the rows of several requests together: modulation [N, 6D] and embeddedTimestep [N, D]. */
export async function embedSteps(
  latte: LatteEmbeddings,
  steps: readonly StepRows[],
  signal: AbortSignal,
): Promise<{ modulation: Tensor; embeddedTimestep: Tensor }> {
  const rows = steps.reduce((sum, { timesteps }) => sum + timesteps.length, 0);
  const column = (parts: (Float32Array | undefined)[], shape: number[]): Tensor =>
    concatenate(
      parts.map((part) => bytesOf(part!)),
      'FP32',
      shape,
    );
  using timestep = column(
    steps.map((step) => step.timesteps),
    [rows],
  );
  if (!latte.config.useAdditionalConditions) {
    return latte.adaLayerNormSingle.forward({ timestep }, { signal });
  }
  using resolution = column(
    steps.map((step) => step.resolution),
    [rows, 2],
  );
  using aspectRatio = column(
    steps.map((step) => step.aspectRatio),
    [rows, 1],
  );
  return latte.adaLayerNormSingle.forward(
    { timestep, resolution, aspectRatio, batchSize: rows },
    { signal },
  );
}

/** The elements of a small input as float32, the dtype to which the layers convert timesteps and sizes. */
export function floatsOf({ datatype, shape, bytes }: WireTensor): Float32Array {
  using tensor = concatenate([bytes], datatype, shape);
  return tensor.toFloat32Array();
}

/** Repeats rows of `width` numbers, a, b, a, b …, up to `count` rows. */
export function tileRows(values: Float32Array, width: number, count: number): Float32Array {
  const tiled = new Float32Array(count * width);
  for (let i = 0; i < tiled.length; i++) tiled[i] = values[i % values.length]!;
  return tiled;
}
