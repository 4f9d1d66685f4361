// The product as users get it: the JavaScript of dist/ and the addon of build/Release.
import { createRequire } from 'node:module';
import type * as Library from '../lib/index.js';
import type * as Random from '../lib/cli/random.js';
import type * as Safetensors from '../lib/checkpoint/write-safetensors.js';

const require = createRequire(import.meta.url);

export type {
  FloatDType,
  LatteEmbeddings as LatteType,
  Tensor as TensorType,
} from '../lib/index.js';

/** The library's exports. */
export const library = require('../dist/index.js') as typeof Library;

export const {
  CaptionProjection,
  LatteEmbeddings,
  PatchEmbed: PatchEmbedLayer,
  Tensor,
  TimestepEmbedding,
  get2dSincosPosEmbed,
  get3dSincosPosEmbed,
  memoryUsage,
} = library;
export const { randomNormal } = require('../dist/cli/random.js') as typeof Random;
export const { writeSafetensors } =
  require('../dist/checkpoint/write-safetensors.js') as typeof Safetensors;

export const productName = 'latte-embeddings';
