import type { LatteConfig } from './config.js';
import { row, type LayerRow } from './siblings.js';

/** The layers of a Latte or PixArt model; `findParameters` finds their tensors. @internal */
export function latteLayers(config: LatteConfig): LayerRow[] {
  const { innerDim, inChannels, patchSize, interpolationScale, captionChannels } = config;
  const [height, width] = config.sampleSize;
  const patch = { height, width, patchSize, inChannels, embedDim: innerDim, interpolationScale };
  const { useAdditionalConditions } = config;
  return [
    row('pos_embed', 'PatchEmbed', patch),
    row('adaln_single', 'AdaLayerNormSingle', { embeddingDim: innerDim, useAdditionalConditions }),
    ...(captionChannels === null
      ? []
      : [
          row('caption_projection', 'CaptionProjection', {
            inFeatures: captionChannels,
            hiddenSize: innerDim,
          }),
        ]),
  ];
}
