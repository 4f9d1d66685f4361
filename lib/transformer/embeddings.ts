import { checkSignal } from '../abort-signal.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { freezeConfig, interpretConfig, type ConfigFile } from '../checkpoint/config.js';
import { Fields } from '../checkpoint/config-fields.js';
import { familyOf, findParameters } from '../checkpoint/names.js';
import { findSibling } from '../checkpoint/models.js';
import { latteLayers } from '../checkpoint/latte-layers.js';
import type { Conditioning, LayerRow } from '../checkpoint/siblings.js';
import { LatteError } from '../errors.js';
import { Timesteps } from '../layers/timesteps.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import { bytesOf } from '../tensor/operations.js';
import { asTensor, type TensorLike } from '../tensor/tensor-like.js';
import { isTensor, Tensor } from '../tensor/tensor.js';
import { findLayerParameters, firstWeight, makeLayers, rootOf, type AnyLayer } from './layers.js';
import { withCheckpoint, type FromPretrainedOptions } from './open.js';
import { stepsOf, TransformerPlan } from './plan.js';
import { defaultDType, readLayers, type LayerPart, type LoadSettings } from './read.js';
import { checkLiveTensor, checkTimesteps } from './timesteps.js';

export type { AnyLayer } from './layers.js';

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
  /** `[B, P]`: the pooled text (SD3, Flux, HunyuanVideo). */
  pooledProjection?: Tensor;
  /** [B] or [1]: the guidance scale, as the layer takes it (Flux, HunyuanVideo and Sana with guidance). */
  guidance?: TensorLike;
  /** [B] or [1] of zeros and ones (QwenImage with use_additional_t_cond). */
  additionTCond?: TensorLike;
  /** [b, 2] height and width (PixArt with size conditions). */
  resolution?: TensorLike;
  /** [b, 1] or [b]: height divided by width (PixArt with size conditions). */
  aspectRatio?: TensorLike;
  /** The rows of each step. Default: those of the pooled text, else of the text, else 1. */
  batchSize?: number;
}

const prepareNames = [
  'timesteps',
  'encoderHiddenStates',
  'encoderHiddenStatesImage',
  'pooledProjection',
  'guidance',
  'additionTCond',
  'resolution',
  'aspectRatio',
  'batchSize',
] as const;

/** The layers of a model, and where a checkpoint has their tensors. */
interface Model {
  className: string;
  rows: LayerRow[];
  conditioning: Conditioning & { sizes?: boolean };
  parts(layers: ReadonlyMap<string, AnyLayer>): LayerPart[];
  /** The tensor whose dtype is the layers'. */
  weights: string;
}

/**
 * The condition-embedding layers of a diffusion transformer's checkpoint, under the names that the
 * model's class gives them. docs/checkpoints.md lists the models and their layers.
 * @example
 * ```ts
 * const model = await TransformerEmbeddings.fromPretrained('Wan2.1', { subfolder: 'transformer' });
 * const plan = await model.prepare({ timesteps: [999, 949], encoderHiddenStates });
 * const { temb, timestepProj } = plan.step(0);
 * const tokens = await model.layers.patchEmbedding.forward(latent);
 * ```
 */
export class TransformerEmbeddings {
  /** The config.json as parsed, frozen. Field names are untrusted: read it with Object.hasOwn. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `_class_name`: 'WanTransformer3DModel' … */
  readonly className: string;
  /** The layers by the model's attribute names in camel case: `layers.timeTextEmbed` … */
  readonly layers: Readonly<Record<string, AnyLayer>>;
  readonly #conditioning: Model['conditioning'];
  #disposed = false;

  private constructor(config: ConfigFile, model: Model, layers: ReadonlyMap<string, AnyLayer>) {
    this.config = freezeConfig(config.raw);
    this.className = model.className;
    this.layers = Object.freeze(Object.fromEntries(layers));
    this.#conditioning = model.conditioning;
  }

  /**
   * Loads the layers from a folder with config.json and a checkpoint of any model that the package
   * knows. Other tensors of the checkpoint are not read.
   * @param folder the folder with config.json, or the folder above its `transformer`.
   * @throws LatteError ERR_CHECKPOINT, with `path`, naming the class (with the list of known ones),
   *   field or tensor that is missing or wrong; ERR_DTYPE, ERR_VALUE, ERR_DEVICE_UNAVAILABLE,
   *   ERR_ABORTED, ERR_OUT_OF_MEMORY. Nothing stays open or in memory after a failure.
   */
  static async fromPretrained(
    folder: string,
    options?: FromPretrainedOptions,
  ): Promise<TransformerEmbeddings> {
    checkArgumentCount(arguments, 2, 'fromPretrained(folder, options)');
    return withCheckpoint(folder, options, async (checkpoint, config, settings) => {
      const model = modelOf(config, checkpoint);
      return new TransformerEmbeddings(config, model, await load(checkpoint, model, settings));
    });
  }

  /**
   * Computes everything of a prompt that does not depend on the latent: all timesteps at once, the
   * text once.
   * @returns the plan, which owns its tensors; it outlives this object.
   * @throws LatteError ERR_VALUE for a condition that is missing, or that the model does not take;
   *   ERR_STATE for a model without a plan (CogVideoX with ofs_embed_dim); ERR_SHAPE, ERR_DTYPE,
   *   ERR_DISPOSED, ERR_ABORTED.
   */
  async prepare(
    options: TransformerPrepareOptions,
    settings?: { signal?: AbortSignal },
  ): Promise<TransformerPlan> {
    if (this.#disposed) {
      throw new LatteError('ERR_DISPOSED', 'the TransformerEmbeddings were disposed');
    }
    checkArgumentCount(arguments, 2, 'prepare(options, { signal })');
    const given = checkOptions(options, prepareNames);
    const { signal } = checkOptions(settings, ['signal'], 'the last argument');
    const stop = signal === undefined ? {} : { signal: checkSignal(signal) };
    const { time, why, text } = this.#conditioning;
    if (time === undefined) {
      throw new LatteError('ERR_STATE', `${this.className} has no plan: ${why}`);
    }
    this.#checkGiven(given);
    const timesteps = checkTimesteps(
      isTensor(given.timesteps) ? await onHost(given.timesteps, 'timesteps') : given.timesteps,
    );
    const states = given.encoderHiddenStates;
    const fallback = given.pooledProjection?.shape[0] ?? states?.shape[0] ?? 1;
    const batch = checkInteger(given.batchSize, 'batchSize', fallback, 1);
    const rows = await this.#rowsOf(given, timesteps, batch);
    const run = async (name: string, input: unknown): Promise<unknown> =>
      (this.layers[name] as unknown as Forward).forward(input, stop);
    const isWan = time === text;
    if (isWan) {
      rows.encoderHiddenStates = states;
      rows.encoderHiddenStatesImage = given.encoderHiddenStatesImage;
    }
    const [textResult, timeResult] = await Promise.allSettled([
      states === undefined || isWan ? null : run(text!, states),
      this.#embedTimesteps(rows, run),
    ]);
    const made: Tensor[] = [];
    try {
      if (textResult.status === 'fulfilled' && textResult.value !== null)
        made.push(textResult.value as Tensor);
      if (timeResult.status === 'fulfilled') {
        made.push(...Object.values(timeResult.value).filter((each) => each !== null));
      }
      if (textResult.status === 'rejected') throw textResult.reason;
      if (timeResult.status === 'rejected') throw timeResult.reason;
      const { encoderHiddenStates, encoderHiddenStatesImage, ...results } = timeResult.value;
      const steps = stepsOf(results as Record<string, Tensor>, timesteps.length, batch);
      const textTensor = (encoderHiddenStates ?? textResult.value ?? null) as Tensor | null;
      const image = encoderHiddenStatesImage ?? null;
      return new TransformerPlan(Object.freeze(timesteps), steps, textTensor, image);
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    } finally {
      for (const each of Object.values(rows)) {
        if (isTensor(each) && !Object.values(given).includes(each)) each.dispose();
      }
    }
  }

  /** Frees the layers' weights; a second call does nothing. Plans and results stay valid. */
  dispose(): void {
    this.#disposed = true;
    for (const layer of Object.values(this.layers)) layer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The conditions of all steps, [S·B, …]: at every step each row of the batch. */
  async #rowsOf(
    given: Partial<TransformerPrepareOptions>,
    timesteps: readonly number[],
    batch: number,
  ): Promise<Record<string, unknown>> {
    const count = timesteps.length;
    const rows: Record<string, unknown> = {
      timestep: timesteps.flatMap((t) => new Array<number>(batch).fill(t)),
    };
    for (const name of this.#conditioning.inputs) {
      const value = asTensor(given[name], name);
      checkLiveTensor(value, name);
      rows[name] = await tiled(value, name, count, batch);
    }
    if (this.#conditioning.sizes === true) {
      for (const name of ['resolution', 'aspectRatio'] as const) {
        rows[name] = await tiled(asTensor(given[name], name), name, count, batch);
      }
    }
    return rows;
  }

  async #embedTimesteps(
    rows: Record<string, unknown>,
    run: (name: string, input: unknown) => Promise<unknown>,
  ): Promise<Record<string, Tensor | null>> {
    const { time, sinusoids } = this.#conditioning;
    let input: unknown = rows;
    let projected: Tensor | undefined;
    if (sinusoids !== undefined) {
      const { device } = this.layers[time!]!;
      const projection = new Timesteps({ ...sinusoids, device } as never);
      input = projected = await projection.forward(rows.timestep as number[]);
      projection.dispose();
    }
    try {
      const result = await run(time!, input);
      return result instanceof Tensor
        ? { temb: result }
        : (result as Record<string, Tensor | null>);
    } finally {
      projected?.dispose();
    }
  }

  /** Throws ERR_VALUE if a condition is missing that the model needs, or given that it does not take. */
  #checkGiven(given: Partial<TransformerPrepareOptions>): void {
    const { inputs, text, time, sizes } = this.#conditioning;
    const taken: string[] = [...inputs, ...(sizes === true ? ['resolution', 'aspectRatio'] : [])];
    const image = text === time && text !== undefined;
    for (const name of prepareNames) {
      if (name === 'timesteps' || name === 'batchSize') continue;
      const needed = taken.includes(name) || (name === 'encoderHiddenStates' && image);
      const optional =
        (name === 'encoderHiddenStates' && text !== undefined) ||
        (name === 'encoderHiddenStatesImage' && image);
      if (given[name] === undefined && needed) {
        throw new LatteError('ERR_VALUE', `${name} is missing: ${this.className} needs it`);
      }
      if (given[name] !== undefined && !needed && !optional) {
        throw new LatteError('ERR_VALUE', `${name} is nothing that this ${this.className} takes`);
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
}

interface Forward {
  forward(input: unknown, options: object): Promise<unknown>;
}

async function onHost(tensor: Tensor, name: string): Promise<Tensor> {
  checkLiveTensor(tensor, name);
  return tensor.device === 'cpu' ? tensor : tensor.to('cpu');
}

/**
 * Repeats the rows of a condition for all steps: [b, …] → [S·B, …], where b divides B. This is done on
 * the host, because conditions are small.
 */
async function tiled(given: Tensor, name: string, count: number, batch: number): Promise<Tensor> {
  const tensor = await onHost(given, name);
  const rows = tensor.shape[0] ?? 0;
  if (rows === 0 || batch % rows !== 0) {
    throw new LatteError(
      'ERR_SHAPE',
      `${name} must have a number of rows that divides the batch of ${batch}, but has ${rows}`,
    );
  }
  const all = Tensor.zeros([count * batch, ...tensor.shape.slice(1)], {
    dtype: tensor.dtype,
    device: 'cpu',
  });
  const [from, to] = [bytesOf(tensor), bytesOf(all)];
  for (let at = 0; at < to.length; at += from.length) to.set(from, at);
  return all;
}

function modelOf(config: ConfigFile, checkpoint: Checkpoint): Model {
  const fields = new Fields(config.path, config.raw);
  const sibling = findSibling(fields);
  if (sibling !== undefined) {
    const rows = sibling.layers(fields);
    const root = rootOf(checkpoint, rows);
    return {
      className: sibling.className,
      rows,
      conditioning: sibling.conditioning(fields),
      weights: root + firstWeight(rows),
      parts: (layers) =>
        rows.map((row) => {
          const layer = layers.get(row.name)!;
          return { layer, parameters: findLayerParameters(checkpoint, row, layer, root) };
        }),
    };
  }
  const latte = interpretConfig(config, familyOf(checkpoint));
  const { parameters } = findParameters(checkpoint, latte);
  const names: Record<string, string> = {
    posEmbed: 'patchEmbed',
    adalnSingle: 'adaLayerNormSingle',
    captionProjection: 'captionProjection',
  };
  const rows = latteLayers(latte);
  return {
    className: latte.className ?? latte.model.name,
    rows,
    conditioning: {
      time: 'adalnSingle',
      inputs: [],
      ...(latte.captionChannels === null ? {} : { text: 'captionProjection' }),
      sizes: latte.useAdditionalConditions,
    },
    weights: parameters.find(({ parameter }) => parameter === 'proj.weight')!.tensor,
    parts: (layers) =>
      rows.map(({ name }) => ({
        layer: layers.get(name)!,
        parameters: parameters.filter(({ layer }) => layer === names[name]),
      })),
  };
}

async function load(
  checkpoint: Checkpoint,
  model: Model,
  settings: LoadSettings,
): Promise<ReadonlyMap<string, AnyLayer>> {
  const known = checkpoint.has(model.weights);
  const dtype = settings.dtype ?? (known ? defaultDType(checkpoint, model.weights) : 'float32');
  const layers = makeLayers(model.rows, settings.device, dtype, checkpoint.path);
  try {
    await readLayers(checkpoint, model.parts(layers), settings);
    return layers;
  } catch (error) {
    for (const layer of layers.values()) layer.dispose();
    throw error;
  }
}
