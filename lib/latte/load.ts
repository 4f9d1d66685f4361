import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { LatteConfig } from '../checkpoint/config.js';
import { findParameters, type LayerName } from '../checkpoint/names.js';
import { latteLayers } from '../checkpoint/latte-layers.js';
import type { AdaLayerNormSingle } from '../layers/ada-layer-norm-single.js';
import type { CaptionProjection } from '../layers/caption-projection.js';
import type { PatchEmbed } from '../layers/patch-embed.js';
import type { Tensor } from '../tensor/tensor.js';
import { makeLayers } from '../transformer/layers.js';
import { defaultDType, readLayers, type LoadSettings } from '../transformer/read.js';

/** @internal */
export type Layers = {
  readonly patchEmbed: PatchEmbed;
  readonly adaLayerNormSingle: AdaLayerNormSingle;
  readonly captionProjection: CaptionProjection | null;
} & Readonly<Record<LayerName, PatchEmbed | AdaLayerNormSingle | CaptionProjection | null>>;

/** The layers of a checkpoint, with their weights, and its temporal table. @internal */
export interface Loaded {
  readonly layers: Layers;
  /**
   * [1, T, D] or [T, D] in the dtype of the file, where T is at least `config.videoLength`; undefined if
   * the file has no such table.
   */
  readonly temporalTable: Tensor | undefined;
}

/**
 * Makes the layers and reads their weights, one layer after the other.
 * @internal
 */
export async function loadLayers(
  checkpoint: Checkpoint,
  config: LatteConfig,
  settings: LoadSettings,
): Promise<Loaded> {
  const { parameters, tempPosEmbed } = findParameters(checkpoint, config);
  const weights = parameters.find(({ parameter }) => parameter === 'proj.weight')!;
  const dtype = settings.dtype ?? defaultDType(checkpoint, weights.tensor);
  const made = makeLayers(latteLayers(config), settings.device, dtype, checkpoint.path);
  const layers: Layers = {
    patchEmbed: made.get('posEmbed') as unknown as PatchEmbed,
    adaLayerNormSingle: made.get('adalnSingle') as unknown as AdaLayerNormSingle,
    captionProjection: (made.get('captionProjection') ?? null) as CaptionProjection | null,
  };
  const parts = (['patchEmbed', 'adaLayerNormSingle', 'captionProjection'] as const).flatMap(
    (name) => {
      const layer = layers[name];
      const own = parameters.filter((parameter) => parameter.layer === name);
      return layer === null ? [] : [{ layer: layer, parameters: own }];
    },
  );
  try {
    const temporalTable = await readLayers(checkpoint, parts, settings, tempPosEmbed);
    return { layers, temporalTable };
  } catch (error) {
    disposeLayers(layers);
    throw error;
  }
}

/** @internal */
export function disposeLayers({ patchEmbed, adaLayerNormSingle, captionProjection }: Layers): void {
  patchEmbed.dispose();
  adaLayerNormSingle.dispose();
  captionProjection?.dispose();
}
