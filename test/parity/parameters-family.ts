import * as reference from '../reference/family.js';
import { mlpParameters } from '../reference/layers.js';
import type { Options } from './operation.js';

/** The names and shapes of each layer's weights. The benchmark uses them, too. */
export const familyParameters = {
  Linear: ({ inFeatures, outFeatures, bias }) =>
    reference.linearParameters('', inFeatures!, outFeatures!, bias),
  PixArtAlphaTextProjection: ({ inFeatures, hiddenSize, outFeatures }) =>
    mlpParameters('', inFeatures!, hiddenSize!, outFeatures ?? hiddenSize!),
  CombinedTimestepTextProjEmbeddings: ({ embeddingDim, pooledProjectionDim }) =>
    reference.textParameters(embeddingDim!, pooledProjectionDim!, false),
  CombinedTimestepGuidanceTextProjEmbeddings: ({ embeddingDim, pooledProjectionDim }) =>
    reference.textParameters(embeddingDim!, pooledProjectionDim!, true),
  SanaCombinedTimestepGuidanceEmbeddings: ({ embeddingDim }) =>
    reference.sanaParameters(embeddingDim!),
  QwenTimestepProjEmbeddings: ({ embeddingDim, useAdditionalTCond }) =>
    reference.qwenParameters(embeddingDim!, useAdditionalTCond ?? false),
  WanTimeTextImageEmbedding: (options) => reference.wanParameters(options as never),
  PatchEmbed3d: (given) => {
    const { embedDim, inChannels, patchSize, bias } =
      given as unknown as reference.PatchEmbed3dOptions;
    const weight: [string, number[]] = ['proj.weight', [embedDim, inChannels, ...patchSize]];
    return bias === false ? [weight] : [weight, ['proj.bias', [embedDim]]];
  },
  CogVideoXPatchEmbed: (options) => reference.cogVideoXParameters(options as never),
} satisfies Record<string, (options: Options) => reference.Parameters>;
