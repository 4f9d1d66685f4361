import { basename, dirname, resolve } from 'node:path';
import {
  devices,
  loadEmbeddings,
  TransformerEmbeddings,
  type AnyLayer,
  type FloatDType,
  type LatteEmbeddings,
} from 'latte-embeddings';
import { ConditioningModel, readTemporalTable } from './conditioning.js';
import { LayerModel } from './layer-model.js';
import { AdaLayerNormSingleModel } from './layers.js';
import type { Model, Weights } from './model.js';
import { selfTest } from './self-test.js';

/** A checkpoint to serve. */
export interface ModelSource {
  readonly name: string;
  readonly folder: string;
}

/** A model with the name that clients use. */
export interface ServedModel {
  readonly name: string;
  readonly model: Model;
  /** The loaded weights, by device. */
  readonly replicas: ReadonlyMap<string, Weights>;
}

/**
 * Parses `name=folder`, or a folder. The checkpoint then gets the folder's name; of
 * `…/latte/transformer` that is `latte`.
 */
export function parseModelSource(text: string): ModelSource {
  const named = /^([A-Za-z0-9_-]+)=(.+)$/s.exec(text);
  if (named !== null) return { name: named[1]!, folder: named[2]! };
  const path = resolve(text);
  const last = basename(path);
  const name = last === 'transformer' ? basename(dirname(path)) : last;
  return { name: name.replace(/[^A-Za-z0-9_-]/g, '_') || 'latte', folder: text };
}

/** The devices that a `--device` value stands for: 'auto' and 'npu' mean every NPU. */
export function chooseDevices(value: string): string[] {
  const npus = devices()
    .filter(({ kind }) => kind === 'npu')
    .map(({ name }) => name);
  if (value === 'auto') return npus.length > 0 ? npus : ['cpu'];
  if (value === 'npu' && npus.length > 0) return npus;
  return [...new Set(value.split(','))];
}

/** All that is served, with its weights on every device. Without models until {@link load} resolves. */
export class Repository {
  readonly devices: readonly string[];
  #models: readonly ServedModel[] = [];
  #byName: ReadonlyMap<string, ServedModel> = new Map();

  constructor(deviceNames: readonly string[]) {
    this.devices = deviceNames;
  }

  /** In the order of the index. */
  get models(): readonly ServedModel[] {
    return this.#models;
  }

  /** Whether the weights are there. */
  get loaded(): boolean {
    return this.#models.length > 0;
  }

  /**
   * Loads each checkpoint on each device. The models of a single checkpoint have plain names
   * (`conditioning`); with several checkpoints, the checkpoint's name stands before
   * (`latte.conditioning`). The long name, and `latte` for `latte.conditioning`, can be used in both cases.
   */
  async load(
    sources: readonly ModelSource[],
    options: { dtype?: FloatDType; signal?: AbortSignal },
  ): Promise<void> {
    const names = new Set(sources.map(({ name }) => name));
    if (names.size < sources.length) {
      throw new Error('two checkpoints have the same name: give names, --model name=folder');
    }
    const models: ServedModel[] = [];
    const aliases = new Map<string, ServedModel>();
    const loaded: Weights[] = [];
    try {
      for (const { name, folder } of sources) {
        const replicas = new Map<string, Weights>();
        for (const device of this.devices) {
          const weights = await loadEmbeddings(folder, { device, ...options });
          loaded.push(weights);
          replicas.set(device, weights);
        }
        for (const model of await modelsOf(replicas.get(this.devices[0]!)!)) {
          const long = `${name}.${model.name}`;
          const served = { name: sources.length === 1 ? model.name : long, model, replicas };
          models.push(served);
          aliases.set(long, served);
          if (model.name === 'conditioning') aliases.set(name, served);
        }
      }
    } catch (error) {
      for (const weights of loaded) weights.dispose();
      throw error;
    }
    this.#byName = new Map([...aliases, ...models.map((model) => [model.name, model] as const)]);
    this.#models = models;
  }

  find(name: string): ServedModel | undefined {
    return this.#byName.get(name);
  }

  /** Runs the self-test of every model on a device. @throws Error if one fails. */
  async test(device: string): Promise<void> {
    for (const { name, model, replicas } of this.models) {
      await selfTest(name, model, replicas.get(device)!, device);
    }
  }

  dispose(): void {
    for (const { replicas } of this.models) {
      for (const weights of replicas.values()) weights.dispose();
    }
  }
}

async function modelsOf(weights: Weights): Promise<Model[]> {
  if (weights instanceof TransformerEmbeddings) return transformerModels(weights);
  const table = await readTemporalTable(weights);
  const { config, captionProjection } = weights;
  const layer = (name: string, layerOf: (latte: LatteEmbeddings) => AnyLayer): Model =>
    new LayerModel(name, weights, layerOf, config.raw);
  return [
    new ConditioningModel(weights, table),
    layer('patch_embed', ({ patchEmbed }) => patchEmbed as AnyLayer),
    new AdaLayerNormSingleModel(weights),
    ...(captionProjection === null
      ? []
      : [layer('caption_projection', (latte) => latte.captionProjection as AnyLayer)]),
  ];
}

/** A model for each layer of a transformer, by the names of the transformer's attributes. */
function transformerModels(transformer: TransformerEmbeddings): Model[] {
  return Object.keys(transformer.layers).map((attribute) => {
    const name = attribute.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const layerOf = ({ layers }: TransformerEmbeddings): AnyLayer => layers[attribute]!;
    return new LayerModel(name, transformer, layerOf, transformer.config);
  });
}
