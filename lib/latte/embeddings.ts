import { checkSignal } from '../abort-signal.js';
import { interpretConfig, type LatteConfig } from '../checkpoint/config.js';
import { familyOf } from '../checkpoint/names.js';
import { checkFloatDType, itemSize } from '../tensor/dtype.js';
import { LatteError, showShape } from '../errors.js';
import { withCheckpoint, type FromPretrainedOptions } from '../transformer/open.js';
import { checkTensor, checkTimesteps } from '../transformer/timesteps.js';
import { disposeLayers, loadLayers, type Loaded } from './load.js';
import { cutSteps, LattePlan } from './plan.js';
import type { AdaLayerNormSingle } from '../layers/ada-layer-norm-single.js';
import type { CaptionProjection } from '../layers/caption-projection.js';
import type { ForwardOptions } from '../layers/layer.js';
import type { PatchEmbed } from '../layers/patch-embed.js';
import { checkArgumentCount, checkInteger, checkNoOptions, checkOptions } from '../options.js';
import { get1dSincosPosEmbed } from '../sincos.js';
import { bytesOf, moveNow } from '../tensor/operations.js';
import { handleToReadNow } from '../tensor/state.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { isTensor, stateOf, Tensor } from '../tensor/tensor.js';

export interface PrepareOptions {
  /** One number for each denoising step, in a Tensor of shape [S]; each becomes a float32. */
  timesteps: readonly number[] | Float32Array | Float64Array | Int32Array | BigInt64Array | Tensor;
  /** `[B, L, K]`: the text encoder's output, any floating dtype. */
  caption: Tensor;
  /** [b, 2] height and width, with b a divisor of the batch; needed if the checkpoint has size conditions, else ignored. */
  resolution?: TensorLike;
  /** [b, 1] or [b]; as `resolution`. */
  aspectRatio?: TensorLike;
  /** The rows of each step; the caption's B by default. */
  batchSize?: number;
}

const prepareNames = ['timesteps', 'caption', 'resolution', 'aspectRatio', 'batchSize'] as const;

/**
 * The condition-embedding layers of a Latte or PixArt checkpoint: they turn latent, caption and
 * timesteps into what the transformer's blocks take.
 */
export class LatteEmbeddings {
  readonly config: LatteConfig;
  readonly patchEmbed: PatchEmbed;
  readonly adaLayerNormSingle: AdaLayerNormSingle;
  /** Null for a model without one: PixArt with `caption_channels` null. */
  readonly captionProjection: CaptionProjection | null;
  /** `[1, T, D]`: as stored in the checkpoint, else computed at first use. */
  #temporalTable: Tensor | undefined;
  #disposed = false;

  private constructor(config: LatteConfig, { layers, temporalTable }: Loaded) {
    this.config = config;
    this.patchEmbed = layers.patchEmbed;
    this.adaLayerNormSingle = layers.adaLayerNormSingle;
    this.captionProjection = layers.captionProjection;
    this.#temporalTable = temporalTable;
  }

  /**
   * Loads the layers from a folder with config.json and a checkpoint (.safetensors, sharded or not,
   * or MindSpore .ckpt; names of diffusers, mindone or the original PixArt). Only their own tensors
   * are read, those of the transformer's blocks never.
   * @param folder the folder itself, the one above its `transformer`, or, if a folder holds
   *   several checkpoints, the path of one of them with config.json beside it.
   * @throws LatteError ERR_CHECKPOINT, with `path`, naming the file, field or tensor that is missing
   *   or wrong; ERR_DTYPE for tensors without floating-point numbers; ERR_VALUE,
   *   ERR_DEVICE_UNAVAILABLE, ERR_OUT_OF_MEMORY. Nothing stays open or in memory after a failure.
   */
  static async fromPretrained(
    folder: string,
    options?: FromPretrainedOptions,
  ): Promise<LatteEmbeddings> {
    checkArgumentCount(arguments, 2, 'fromPretrained(folder, options)');
    return withCheckpoint(folder, options, async (checkpoint, configFile, settings) => {
      const config = interpretConfig(configFile, familyOf(checkpoint));
      return new LatteEmbeddings(config, await loadLayers(checkpoint, config, settings));
    });
  }

  /**
   * The position embedding of the frames, which the first temporal block adds: [1, F, D]. A table
   * that the checkpoint stores is used as loaded, in its own dtype; else it is computed, in float32.
   * Frames beyond `config.videoLength` get zeros, fewer frames the first rows. The result is on the
   * layers' device.
   * @param frames `config.videoLength` by default.
   * @throws LatteError ERR_VALUE, ERR_DISPOSED; ERR_STATE for a model without a time axis (PixArt).
   */
  tempPosEmbed(frames?: number): Tensor {
    this.#checkUsable();
    checkNoOptions(arguments, 1, 'tempPosEmbed(frames)');
    const { innerDim, videoLength, interpolationScale1d, model } = this.config;
    if (videoLength === null) {
      throw new LatteError(
        'ERR_STATE',
        `this model has no time axis, and so no temporal position table (${model.name})`,
      );
    }
    const count = checkInteger(frames, 'frames', videoLength, 0);
    this.#temporalTable ??= get1dSincosPosEmbed(innerDim, videoLength, {
      interpolationScale: interpolationScale1d ?? 1,
    });
    const table = this.#temporalTable;
    const result = Tensor.zeros([1, count, innerDim], { dtype: table.dtype });
    try {
      const bytes = Math.min(count, videoLength) * innerDim * itemSize(table.dtype);
      bytesOf(result).set(bytesOf(table).subarray(0, bytes));
    } catch (error) {
      result.dispose();
      throw error;
    }
    return moveNow(result, this.patchEmbed.device);
  }

  /**
   * Computes everything of a prompt that does not depend on the latent: the caption once, and all
   * timesteps in one pass. B is `batchSize`, else the caption's first axis.
   * Without a caption projection the caption itself is the result, in the layers' dtype.
   * @returns the plan, which owns its tensors; it outlives this object.
   * @throws LatteError ERR_VALUE, ERR_SHAPE, ERR_DTYPE naming the option; ERR_DISPOSED, ERR_ABORTED.
   */
  async prepare(options: PrepareOptions, settings?: { signal?: AbortSignal }): Promise<LattePlan> {
    this.#checkUsable();
    checkArgumentCount(arguments, 2, 'prepare(options, { signal })');
    const given = checkOptions(options, prepareNames);
    const { timesteps: steps } = given;
    if (isTensor(steps) && !steps.disposed && steps.device !== 'cpu') {
      using timesteps = await steps.to('cpu');
      return await this.prepare({ ...(given as PrepareOptions), timesteps }, settings);
    }
    const { signal } = checkOptions(settings, ['signal'], 'the last argument');
    const stop = signal === undefined ? {} : { signal: checkSignal(signal) };
    const { timesteps, caption, conditions, batch } = this.#checkPrepare(given);
    // With size conditions the rows of a batch differ, so all S·B are computed; else S rows do.
    const rows = conditions === undefined ? 1 : batch;
    using timestep = Tensor.zeros([timesteps.length * rows]);
    const values = timestep.data as Float32Array;
    timesteps.forEach((t, i) => values.fill(t, i * rows, (i + 1) * rows));
    // Both start before anything is awaited: the caller's arrays are copied here and now.
    const [captionResult, stepResult] = await Promise.allSettled([
      this.captionProjection === null
        ? copyAs(caption, this.patchEmbed)
        : this.captionProjection.forward(caption, stop),
      this.adaLayerNormSingle.forward({ timestep, ...conditions, batchSize: timestep.size }, stop),
    ]);
    const embedded = stepResult.status === 'fulfilled' ? stepResult.value : undefined;
    const encoderHiddenStates =
      captionResult.status === 'fulfilled' ? captionResult.value : undefined;
    try {
      if (captionResult.status === 'rejected') throw captionResult.reason;
      if (stepResult.status === 'rejected') throw stepResult.reason;
      const { modulation, embeddedTimestep } = stepResult.value;
      const cut = await cutSteps(modulation, embeddedTimestep, timesteps.length, batch);
      return new LattePlan(Object.freeze(timesteps), captionResult.value, cut);
    } catch (error) {
      encoderHiddenStates?.dispose();
      throw error;
    } finally {
      embedded?.modulation.dispose();
      embedded?.embeddedTimestep.dispose();
    }
  }

  /**
   * Embeds the patches of a latent, [B, C, F, H, W] or [B, C, H, W], with their positions. The frames
   * of a video are read in place, without a transposed copy.
   * @returns [(B·F), N, D], frames of one video next to each other, in the layers' dtype.
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_DISPOSED, ERR_ABORTED.
   */
  async embedLatent(latent: Tensor, options?: ForwardOptions): Promise<Tensor> {
    this.#checkUsable();
    checkArgumentCount(arguments, 2, 'embedLatent(latent, options)');
    return this.patchEmbed.forwardVideo(latent, options);
  }

  /** Gives back the layers' weights; a second call does nothing. Plans and results stay. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    disposeLayers(this);
    this.#temporalTable?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkUsable(): void {
    if (this.#disposed) throw new LatteError('ERR_DISPOSED', 'the LatteEmbeddings were disposed');
  }

  #checkPrepare(options: Partial<PrepareOptions>): {
    timesteps: number[];
    caption: Tensor;
    conditions: { resolution: Tensor; aspectRatio: Tensor } | undefined;
    batch: number;
  } {
    const { caption, resolution, aspectRatio, batchSize } = options;
    const timesteps = checkTimesteps(options.timesteps);
    const { captionChannels, useAdditionalConditions } = this.config;
    checkTensor(caption, 'caption');
    const fits = captionChannels === null || caption.shape[2] === captionChannels;
    if (caption.shape.length !== 3 || !fits) {
      throw new LatteError(
        'ERR_SHAPE',
        `caption must have shape [B, L, ${captionChannels ?? 'K'}], but has ${showShape(caption.shape)}`,
      );
    }
    const batch = checkInteger(batchSize, 'batchSize', caption.shape[0], 0);
    const conditions = useAdditionalConditions
      ? {
          resolution: checkCondition(resolution, 'resolution', batch),
          aspectRatio: checkCondition(aspectRatio, 'aspectRatio', batch),
        }
      : undefined;
    return { timesteps, caption, conditions, batch };
  }
}

/**
 * The layer tiles rows over all S·B of them; whether they fit one batch has to be seen here, or rows
 * that fit S batches only by chance would go through.
 */
function checkCondition(value: TensorLike | undefined, name: string, batch: number): Tensor {
  if (value === undefined) {
    throw new LatteError('ERR_VALUE', `${name} is missing: this checkpoint has size conditions`);
  }
  const tensor = asTensor(value, name);
  checkTensor(tensor, name);
  const { shape } = tensor;
  if (shape.length !== 1 && shape.length !== 2) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must have shape [b] or [b, n], but has ${showShape(shape)}`,
    );
  }
  const rows = shape[0]!;
  const tiled = rows === 0 ? 0 : Math.floor(batch / rows) * rows;
  if (tiled !== batch) {
    throw new LatteError(
      'ERR_SHAPE',
      `\`batch_size\` should be ${tiled} but found ${batch}. (${name} has ${rows} rows)`,
    );
  }
  return tensor;
}

/** A copy of the caption, in the dtype and on the device of a layer. */
async function copyAs(caption: Tensor, { dtype, device }: PatchEmbed): Promise<Tensor> {
  checkFloatDType(caption.dtype);
  if (caption.device !== 'cpu') return caption.to({ dtype, device });
  const copy = Tensor.zeros(caption.shape, { dtype: caption.dtype });
  let isResult = false;
  try {
    handleToReadNow(stateOf(caption), 'caption');
    bytesOf(copy).set(bytesOf(caption));
    isResult = copy.dtype === dtype && device === 'cpu';
    return isResult ? copy : await copy.to({ dtype, device });
  } finally {
    if (!isResult) copy.dispose();
  }
}
