import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { ChosenModel } from '../checkpoint/choose-model.js';
import type { ConfigFile } from '../checkpoint/config.js';
import { Fields } from '../checkpoint/config-fields.js';
import { readLatteSizes, type LatteSizes } from '../checkpoint/latte-config.js';
import type { Conditioning, LayerRow } from '../checkpoint/model-row.js';
import { findParameters } from '../checkpoint/names.js';
import { LatteError } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import {
  findLayerParameters,
  firstWeight,
  makeLayers,
  rootOf,
  type AnyLayer,
  type LayerParameter,
} from './layers.js';
import { defaultDType, readLayers, type LoadSettings } from './read.js';

/** The layers of a model with their weights. @internal */
export interface LoadedModel {
  readonly className: string;
  /** By `LayerRow.name`. */
  readonly layers: ReadonlyMap<string, AnyLayer>;
  readonly conditioning: Conditioning;
  /**
   * [1, T, D] or [T, D] in the dtype of the file, where T is at least `video_length`; undefined if the
   * file has no such table, or if it was not asked for.
   */
  readonly temporalTable: Tensor | undefined;
}

/**
 * For the constructors of models, which are private in TypeScript only.
 * @throws LatteError ERR_VALUE if a program called the constructor instead of `fromPretrained`.
 * @internal
 */
export function checkLoaded(model: unknown, name: string): void {
  if ((model as Partial<LoadedModel> | undefined)?.layers instanceof Map) return;
  throw new LatteError(
    'ERR_VALUE',
    `new ${name}() makes no model; use await ${name}.fromPretrained(folder)`,
  );
}

/** Where a checkpoint has the tensors of a model's layers. */
interface Found {
  /** The tensor whose dtype is the layers'. */
  readonly weights: string;
  readonly temporalTable?: string | undefined;
  parametersOf(row: LayerRow, layer: AnyLayer): LayerParameter[];
}

/**
 * Makes the layers of a model, and reads their weights, one layer after the other.
 * @param withTable whether to read the temporal table, too.
 * @throws LatteError ERR_CHECKPOINT naming the field or tensor that is missing or wrong; what
 *   `makeLayers` and `readLayers` throw.
 * @internal
 */
export async function loadModel(
  checkpoint: Checkpoint,
  { path, raw }: ConfigFile,
  { row }: ChosenModel,
  settings: LoadSettings,
  withTable = false,
): Promise<LoadedModel> {
  const fields = new Fields(path, raw);
  const rows = row.layers(fields);
  const found =
    row.latte === undefined
      ? findByPrefix(checkpoint, rows)
      : findByScheme(checkpoint, readLatteSizes(fields, row.latte));
  const conditioning = row.conditioning(fields);
  const known = checkpoint.has(found.weights);
  const dtype = settings.dtype ?? (known ? defaultDType(checkpoint, found.weights) : 'float32');
  const layers = makeLayers(rows, settings.device, dtype, checkpoint.path);
  try {
    const parts = rows.map((each) => {
      const layer = layers.get(each.name)!;
      return { layer, parameters: found.parametersOf(each, layer) };
    });
    const extra = withTable ? found.temporalTable : undefined;
    const temporalTable = await readLayers(checkpoint, parts, settings, extra);
    const className = (fields.get('_class_name') ?? row.latte?.label) as string;
    return { className, layers, conditioning, temporalTable };
  } catch (error) {
    for (const layer of layers.values()) layer.dispose();
    throw error;
  }
}

/** The tensors have the names of the model's attributes. */
function findByPrefix(checkpoint: Checkpoint, rows: readonly LayerRow[]): Found {
  const root = rootOf(checkpoint, rows);
  return {
    weights: root + firstWeight(rows),
    parametersOf: (row, layer) => findLayerParameters(checkpoint, row, layer, root),
  };
}

/** Checkpoints of Latte's kind have several names for a tensor. */
function findByScheme(checkpoint: Checkpoint, sizes: LatteSizes): Found {
  const { parameters, tempPosEmbed } = findParameters(checkpoint, sizes);
  return {
    weights: parameters.find(({ parameter }) => parameter === 'proj.weight')!.tensor,
    temporalTable: tempPosEmbed,
    parametersOf: ({ name }) => parameters.filter(({ layer }) => layer === name),
  };
}
