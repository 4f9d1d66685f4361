import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { checkpointError, showName } from '../checkpoint/file.js';
import type { LayerKind } from '../checkpoint/layer-kind.js';
import type { LayerRow } from '../checkpoint/model-row.js';
import { prefixOf } from '../checkpoint/names.js';
import { LatteError, showShape } from '../errors.js';
import { AdaLayerNormSingle } from '../layers/ada-layer-norm-single.js';
import { CaptionProjection } from '../layers/caption-projection.js';
import { CogVideoXPatchEmbed } from '../layers/cogvideox-patch-embed.js';
import {
  CombinedTimestepGuidanceTextProjEmbeddings,
  CombinedTimestepTextProjEmbeddings,
} from '../layers/combined-timestep-text-proj-embeddings.js';
import type { Layer } from '../layers/layer.js';
import { Linear } from '../layers/linear.js';
import { PatchEmbed } from '../layers/patch-embed.js';
import { PatchEmbed3d } from '../layers/patch-embed-3d.js';
import { PixArtAlphaTextProjection } from '../layers/pixart-alpha-text-projection.js';
import { QwenTimestepProjEmbeddings } from '../layers/qwen-timestep-proj-embeddings.js';
import { SanaCombinedTimestepGuidanceEmbeddings } from '../layers/sana-combined-timestep-guidance-embeddings.js';
import { TimestepEmbedding } from '../layers/timestep-embedding.js';
import { WanTimeTextImageEmbedding } from '../layers/wan-time-text-image-embedding.js';
import type { FloatDType } from '../tensor/dtype.js';

/**
 * A layer whose class depends on the checkpoint. The comment of that class describes its `forward`; the
 * type `any` lets a caller who knows the model call it.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyLayer = Layer<any[], any>;

const classes: Readonly<Record<LayerKind, new (options: never) => unknown>> = {
  AdaLayerNormSingle,
  CaptionProjection,
  CogVideoXPatchEmbed,
  CombinedTimestepGuidanceTextProjEmbeddings,
  CombinedTimestepTextProjEmbeddings,
  Linear,
  PatchEmbed,
  PatchEmbed3d,
  PixArtAlphaTextProjection,
  QwenTimestepProjEmbeddings,
  SanaCombinedTimestepGuidanceEmbeddings,
  TimestepEmbedding,
  WanTimeTextImageEmbedding,
};

/** A parameter of a layer, and the tensor of the checkpoint that holds it. @internal */
export interface LayerParameter {
  readonly parameter: string;
  readonly tensor: string;
}

/**
 * Makes the layers of a model, without weights.
 * @param path the file that has the model's configuration, for messages.
 * @returns the layers by `LayerRow.name`.
 * @throws LatteError ERR_CHECKPOINT if a layer refuses its options; ERR_DTYPE,
 *   ERR_DEVICE_UNAVAILABLE.
 * @internal
 */
export function makeLayers(
  rows: readonly LayerRow[],
  device: string,
  dtype: FloatDType,
  path: string,
): Map<string, AnyLayer> {
  const layers = new Map<string, AnyLayer>();
  try {
    for (const { name, kind, options } of rows) {
      const given = { ...options, device, dtype } as never;
      layers.set(name, new classes[kind](given) as AnyLayer);
    }
    return layers;
  } catch (error) {
    for (const layer of layers.values()) layer.dispose();
    if (error instanceof LatteError && error.code === 'ERR_VALUE') {
      throw checkpointError(path, `config.json gives no layer: ${error.message}`, error);
    }
    throw error;
  }
}

/** The name of the first layer's weight, which every checkpoint of the model has. @internal */
export function firstWeight([row]: readonly LayerRow[]): string {
  const { prefix, kind, without } = row!;
  return prefix + (kind === 'Linear' || without !== undefined ? 'weight' : 'proj.weight');
}

/** The prefix of all names in the checkpoint. @internal */
export function rootOf(checkpoint: Checkpoint, rows: readonly LayerRow[]): string {
  return prefixOf(checkpoint, firstWeight(rows));
}

const floats = ['float64', 'float32', 'float16', 'bfloat16'];

/**
 * Finds the tensors of a layer in a checkpoint: root, the row's prefix, then the parameter's name.
 * @param root the prefix of all names, see {@link rootOf}.
 * @throws LatteError ERR_CHECKPOINT naming a tensor that is missing or misshapen, ERR_DTYPE.
 * @internal
 */
export function findLayerParameters(
  checkpoint: Checkpoint,
  { prefix, without = '' }: LayerRow,
  layer: AnyLayer,
  root: string,
): LayerParameter[] {
  const found: LayerParameter[] = [];
  for (const { name, shape, required } of layer.parameters()) {
    const own = name.startsWith(without) ? name.slice(without.length) : name;
    const tensor = root + prefix + own;
    if (!checkpoint.has(tensor)) {
      if (!required) continue;
      throw checkpointError(
        checkpoint.path,
        `lacks tensor ${showName(tensor)} ${showShape(shape)}, which its config.json asks for`,
      );
    }
    const info = checkpoint.info(tensor);
    if (showShape(info.shape) !== showShape(shape)) {
      throw checkpointError(
        checkpoint.path,
        `tensor ${showName(tensor)} must have shape ${showShape(shape)} by config.json, but has ${showShape(info.shape)}`,
      );
    }
    if (!floats.includes(info.dtype)) {
      throw new LatteError(
        'ERR_DTYPE',
        `${checkpoint.path}: tensor ${showName(tensor)} must hold floating-point numbers, but is ${info.dtype}`,
        { path: checkpoint.path },
      );
    }
    found.push({ parameter: name, tensor });
  }
  return found;
}
