import { checkSignal } from '../abort-signal.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { chooseModel, type ChosenModel } from '../checkpoint/choose-model.js';
import { freezeConfig, type ConfigFile } from '../checkpoint/config.js';
import { Fields } from '../checkpoint/config-fields.js';
import type { Conditioning } from '../checkpoint/model-row.js';
import { familyOf } from '../checkpoint/names.js';
import { LatteError } from '../errors.js';
import { checkArgumentCount, checkInteger, checkOptions } from '../options.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AnyLayer } from './layers.js';
import { checkLoaded, loadModel, type LoadedModel } from './load.js';
import { withCheckpoint, type FromPretrainedOptions } from './open.js';
import { stepsOf, TransformerPlan } from './plan.js';
import {
  checkGiven,
  checkStateRows,
  checkStates,
  embedTimesteps,
  findDistant,
  prepareNames,
  type TransformerPrepareOptions,
} from './prepare.js';
import type { LoadSettings } from './read.js';
import { checkTimesteps } from './timesteps.js';

export type { AnyLayer } from './layers.js';
export type { TransformerPrepareOptions } from './prepare.js';

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
  /** @internal */
  readonly conditioning: Conditioning;
  #disposed = false;

  private constructor(config: ConfigFile, model: LoadedModel) {
    checkLoaded(model, 'TransformerEmbeddings');
    const { className, layers, conditioning } = model;
    this.config = freezeConfig(config.raw);
    this.className = className;
    this.layers = Object.freeze(Object.fromEntries(layers));
    this.conditioning = conditioning;
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
      const chosen = chooseModel(new Fields(config.path, config.raw), familyOf(checkpoint));
      return await TransformerEmbeddings.load(checkpoint, config, chosen, settings);
    });
  }

  /** Loads the layers of a chosen model. @internal */
  static async load(
    checkpoint: Checkpoint,
    config: ConfigFile,
    chosen: ChosenModel,
    settings: LoadSettings,
  ): Promise<TransformerEmbeddings> {
    return new TransformerEmbeddings(config, await loadModel(checkpoint, config, chosen, settings));
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
    const given = checkOptions(options, prepareNames, 'options', ['signal']);
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
    const { time, why, text } = this.conditioning;
    if (time === undefined) {
      throw new LatteError('ERR_STATE', `${this.className} has no plan: ${why}`);
    }
    const timesteps = checkTimesteps(given.timesteps);
    checkGiven(given, this.conditioning, this.className);
    if (text !== undefined) checkStates(given, this.layers[text]!);
    const states = given.encoderHiddenStates;
    const fallback = given.pooledProjection?.shape[0] ?? states?.shape[0] ?? 1;
    const batch = checkInteger(given.batchSize, 'batchSize', fallback, 1);
    if (text !== undefined) checkStateRows(given, this.layers[text]!, batch);
    // Start both before anything is awaited, because each copies the caller's arrays as it starts.
    const embedded = embedTimesteps(this.layers, this.conditioning, given, timesteps, batch, stop);
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
