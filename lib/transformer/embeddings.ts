import { checkSignal } from '../abort-signal.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { freezeConfig, interpretConfig, type ConfigFile } from '../checkpoint/config.js';
import { Fields } from '../checkpoint/config-fields.js';
import { familyOf, findParameters } from '../checkpoint/names.js';
import { findSibling } from '../checkpoint/models.js';
import { latteLayers } from '../checkpoint/latte-layers.js';
import type { LayerRow } from '../checkpoint/siblings.js';
import { LatteError } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import { findLayerParameters, firstWeight, makeLayers, rootOf, type AnyLayer } from './layers.js';
import { withCheckpoint, type FromPretrainedOptions } from './open.js';
import { stepsOf, TransformerPlan } from './plan.js';
import {
  checkGiven,
  embedTimesteps,
  findDistant,
  prepareNames,
  type ModelConditioning,
  type TransformerPrepareOptions,
} from './prepare.js';
import { defaultDType, readLayers, type LayerPart, type LoadSettings } from './read.js';
import { checkTimesteps } from './timesteps.js';

export type { AnyLayer } from './layers.js';
export type { TransformerPrepareOptions } from './prepare.js';

/** The layers of a model, and where a checkpoint has their tensors. */
interface Model {
  className: string;
  rows: LayerRow[];
  conditioning: ModelConditioning;
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
   *   ERR_STATE for a model without a plan (CogVideoX whose embeddings of ofs and timestep differ in
   *   width); ERR_SHAPE, ERR_DTYPE, ERR_DISPOSED, ERR_ABORTED.
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
    const distant = findDistant(given);
    if (distant !== undefined) {
      using host = await (given[distant] as Tensor).to('cpu');
      return await this.prepare(
        { ...(given as TransformerPrepareOptions), [distant]: host },
        settings,
      );
    }
    const { signal } = checkOptions(settings, ['signal'], 'the last argument');
    const stop = signal === undefined ? {} : { signal: checkSignal(signal) };
    const { time, why, text } = this.#conditioning;
    if (time === undefined) {
      throw new LatteError('ERR_STATE', `${this.className} has no plan: ${why}`);
    }
    checkGiven(given, this.#conditioning, this.className);
    const timesteps = checkTimesteps(given.timesteps);
    const states = given.encoderHiddenStates;
    const fallback = given.pooledProjection?.shape[0] ?? states?.shape[0] ?? 1;
    const batch = checkInteger(given.batchSize, 'batchSize', fallback, 1);
    // Start both before anything is awaited, because each copies the caller's arrays as it starts.
    const embedded = embedTimesteps(this.layers, this.#conditioning, given, timesteps, batch, stop);
    // Wait for both, also after an error: the results of both must be disposed then.
    const [textResult, timeResult] = await Promise.allSettled([
      states === undefined || time === text ? null : this.layers[text!]!.forward(states, stop),
      embedded,
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
      const steps = await stepsOf(results as Record<string, Tensor>, timesteps.length, batch);
      const textTensor = (encoderHiddenStates ?? textResult.value ?? null) as Tensor | null;
      const image = encoderHiddenStatesImage ?? null;
      return new TransformerPlan(Object.freeze(timesteps), steps, textTensor, image);
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
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
