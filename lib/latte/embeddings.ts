import { checkSignal } from '../abort-signal.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { chooseLatte, type ChosenLatte } from '../checkpoint/choose-model.js';
import { latteConfig, type ConfigFile } from '../checkpoint/config.js';
import { Fields } from '../checkpoint/config-fields.js';
import type { LatteConfig } from '../checkpoint/latte-config.js';
import { familyOf } from '../checkpoint/names.js';
import { checkFloatDType, itemSize } from '../tensor/dtype.js';
import { LatteError, showShape } from '../errors.js';
import { withCheckpoint, type FromPretrainedOptions } from '../transformer/open.js';
import { checkLiveTensor, checkTimesteps } from '../transformer/timesteps.js';
import { checkLoaded, loadModel, type LoadedModel } from '../transformer/load.js';
import { stepsOf } from '../transformer/plan.js';
import { checkSizeAxes, commonRow } from '../transformer/prepare.js';
import type { LoadSettings } from '../transformer/read.js';
import { LattePlan } from './plan.js';
import type { AdaLayerNormSingle } from '../layers/ada-layer-norm-single.js';
import type { CaptionProjection } from '../layers/caption-projection.js';
import type { ForwardOptions } from '../layers/call.js';
import type { PatchEmbed } from '../layers/patch-embed.js';
import { checkArgumentCount, checkInteger, checkNoOptions, checkOptions } from '../options.js';
import { get1dSincosPosEmbed } from '../sincos.js';
import { bytesOf, moveNow } from '../tensor/operations.js';
import { handleToReadNow } from '../tensor/state.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { isTensor, stateOf, Tensor } from '../tensor/tensor.js';

/** The conditions of a prompt, for {@link LatteEmbeddings.prepare}. */
export interface PrepareOptions {
  /** One number for each denoising step, in a Tensor of shape [S], S ≤ 2^20; each becomes a float32. */
  timesteps: readonly number[] | Float32Array | Float64Array | Int32Array | BigInt64Array | Tensor;
  /** `[B, L, K]`: the text encoder's output, any floating dtype. */
  caption: Tensor;
  /**
   * `[b, 2]`: height and width in pixels; b must divide the batch. Required if the checkpoint has size
   * conditions (`config.useAdditionalConditions`), else ignored.
   */
  resolution?: TensorLike;
  /** [b, 1] or [b]: height divided by width. Required and ignored like `resolution`. */
  aspectRatio?: TensorLike;
  /** The rows of each step; the caption's B by default. */
  batchSize?: number;
}

const prepareNames = ['timesteps', 'caption', 'resolution', 'aspectRatio', 'batchSize'] as const;

/**
 * The condition-embedding layers of a Latte or PixArt checkpoint: they compute the inputs of the
 * transformer's blocks from latent, caption, timesteps and sizes.
 * @example
 * ```ts
 * const latte = await LatteEmbeddings.fromPretrained('Latte-1', { subfolder: 'transformer' });
 * const plan = await latte.prepare({ timesteps: [999, 949], caption }); // once per prompt
 * const tokens = await latte.embedLatent(latent); // [B, C, F, H, W] → [B·F, N, D], at every step
 * const { modulation } = plan.step(0); // [B, 6D]
 * ```
 */
export class LatteEmbeddings {
  readonly config: LatteConfig;
  readonly patchEmbed: PatchEmbed;
  readonly adaLayerNormSingle: AdaLayerNormSingle;
  /** Null if the model has none: in PixArt `caption_channels` may be null. */
  readonly captionProjection: CaptionProjection | null;
  /** `[1, T, D]`: as stored in the checkpoint, else computed at first use. */
  #temporalTable: Tensor | undefined;
  #disposed = false;

  private constructor(config: LatteConfig, model: LoadedModel) {
    checkLoaded(model, 'LatteEmbeddings');
    const { layers, temporalTable } = model;
    this.config = config;
    this.patchEmbed = layers.get('posEmbed') as unknown as PatchEmbed;
    this.adaLayerNormSingle = layers.get('adalnSingle') as unknown as AdaLayerNormSingle;
    this.captionProjection = (layers.get('captionProjection') ?? null) as CaptionProjection | null;
    this.#temporalTable = temporalTable;
  }

  /**
   * Loads the layers from a folder with config.json and a checkpoint: .safetensors, sharded or not, or
   * MindSpore .ckpt, with the names of diffusers, mindone or the original PixArt. The tensors of the
   * transformer's blocks are not read.
   * @param folder the folder with config.json, or the folder above its `transformer`. If a folder has
   *   several checkpoints: the path of one of them, with config.json beside it.
   * @throws LatteError ERR_CHECKPOINT, with `path`, if a file, field or tensor is missing or wrong; the
   *   message names it. ERR_DTYPE for tensors that are not floating-point; ERR_VALUE,
   *   ERR_DEVICE_UNAVAILABLE, ERR_OUT_OF_MEMORY, ERR_ABORTED. After a failure no file stays open, and
   *   all memory is freed.
   */
  static async fromPretrained(
    folder: string,
    options?: FromPretrainedOptions,
  ): Promise<LatteEmbeddings> {
    checkArgumentCount(arguments, 2, 'fromPretrained(folder, options)');
    return withCheckpoint(folder, options, async (checkpoint, config, settings) => {
      const chosen = chooseLatte(new Fields(config.path, config.raw), familyOf(checkpoint));
      return await LatteEmbeddings.load(checkpoint, config, chosen, settings);
    });
  }

  /** Loads the layers of a chosen model. @internal */
  static async load(
    checkpoint: Checkpoint,
    file: ConfigFile,
    chosen: ChosenLatte,
    settings: LoadSettings,
  ): Promise<LatteEmbeddings> {
    const config = latteConfig(file, chosen);
    const withTable = true;
    return new LatteEmbeddings(
      config,
      await loadModel(checkpoint, file, chosen, settings, withTable),
    );
  }

  /**
   * The position embedding of the frames, [1, F, D], which the first temporal block adds. A table that
   * the checkpoint stores is used as it is, in its own dtype; else the table is computed in float32. For
   * fewer frames than `config.videoLength` the result has the first rows; frames beyond it get zeros.
   * The result is on the layers' device.
   * @param frames F; default `config.videoLength`.
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
   * Computes everything of a prompt that does not depend on the latent: the projection of the caption,
   * and the modulations of all timesteps in one pass. B is `batchSize`, or the caption's first axis. If
   * the model has no caption projection, a copy of the caption in the layers' dtype takes its place.
   * @returns the plan, which owns its tensors. It stays valid after this object is disposed.
   * @throws LatteError ERR_VALUE, ERR_SHAPE, ERR_DTYPE naming the option; ERR_DISPOSED, ERR_ABORTED.
   */
  async prepare(options: PrepareOptions, settings?: { signal?: AbortSignal }): Promise<LattePlan> {
    this.#checkUsable();
    checkArgumentCount(arguments, 2, 'prepare(options, { signal })');
    const given = checkOptions(options, prepareNames, 'options', ['signal']);
    const { timesteps: steps } = given;
    if (isTensor(steps) && !steps.disposed && steps.device !== 'cpu') {
      using timesteps = await steps.to('cpu');
      return await this.prepare({ ...(given as PrepareOptions), timesteps }, settings);
    }
    const { signal } = checkOptions(settings, ['signal'], 'the last argument');
    const stop = signal === undefined ? {} : { signal: checkSignal(signal) };
    const { timesteps, caption, conditions, batch } = this.#checkPrepare(given);
    // If the sizes of a batch differ, a step has B rows. Else one row serves the whole batch.
    const isOneRow = Object.values(conditions ?? {}).every(({ shape }) => shape[0] === 1);
    const rows = isOneRow ? 1 : batch;
    // Start both before anything is awaited, because each forward copies the caller's arrays as it
    // starts. The caller may change its arrays as soon as prepare() has returned its promise.
    const [captionResult, stepResult] = await Promise.allSettled([
      this.captionProjection === null
        ? copyAs(caption, this.patchEmbed)
        : this.captionProjection.forward(caption, stop),
      this.adaLayerNormSingle.forwardSteps(rows, { timestep: timesteps, ...conditions }, stop),
    ]);
    const embedded = stepResult.status === 'fulfilled' ? stepResult.value : undefined;
    const encoderHiddenStates =
      captionResult.status === 'fulfilled' ? captionResult.value : undefined;
    try {
      if (captionResult.status === 'rejected') throw captionResult.reason;
      if (stepResult.status === 'rejected') throw stepResult.reason;
      const { modulation, embeddedTimestep } = stepResult.value;
      const cut = await stepsOf({ modulation, embeddedTimestep }, timesteps.length, batch);
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
   * Embeds the patches of a latent, [B, C, F, H, W] or [B, C, H, W], with their positions in a frame.
   * The frames of a video are read without a transposed copy.
   * @returns [B·F, N, D] in the layers' dtype; the frames of one video are next to each other.
   * @throws LatteError ERR_SHAPE, ERR_DTYPE, ERR_DISPOSED, ERR_ABORTED.
   */
  async embedLatent(latent: Tensor, options?: ForwardOptions): Promise<Tensor> {
    this.#checkUsable();
    checkArgumentCount(arguments, 2, 'embedLatent(latent, options)');
    return this.patchEmbed.forwardVideo(latent, options);
  }

  /** Frees the layers' weights; a second call does nothing. Plans and results stay valid. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.patchEmbed.dispose();
    this.adaLayerNormSingle.dispose();
    this.captionProjection?.dispose();
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
    checkLiveTensor(caption, 'caption');
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
          resolution: commonRow(checkCondition(resolution, 'resolution', batch), 'resolution'),
          aspectRatio: commonRow(checkCondition(aspectRatio, 'aspectRatio', batch), 'aspectRatio'),
        }
      : undefined;
    return { timesteps, caption, conditions, batch };
  }
}

/**
 * Checks that the rows of a size condition divide one batch: before commonRow() makes one row of equal
 * rows, which would divide any batch.
 */
function checkCondition(
  value: TensorLike | undefined,
  name: 'resolution' | 'aspectRatio',
  batch: number,
): Tensor {
  if (value === undefined) {
    throw new LatteError('ERR_VALUE', `${name} is missing: this checkpoint has size conditions`);
  }
  const tensor = asTensor(value, name);
  checkLiveTensor(tensor, name);
  checkSizeAxes(tensor, name);
  const rows = tensor.shape[0]!;
  const tiled = rows === 0 ? 0 : Math.floor(batch / rows) * rows;
  if (tiled !== batch) {
    throw new LatteError(
      'ERR_SHAPE',
      `\`batch_size\` should be ${tiled} but found ${batch}. (${name} has ${rows} rows)`,
    );
  }
  return tensor;
}

/** A copy of the caption in the dtype and on the device of a layer, for a model without projection. */
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
