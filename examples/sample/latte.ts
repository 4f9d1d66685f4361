// The package of this checkout, built by `npm run build`. In your own program:
// import { LatteEmbeddings, openCheckpoint, Tensor } from 'latte-embeddings';
import { createRequire } from 'node:module';
import type * as Library from '../../lib/index.js';

export type {
  Checkpoint,
  LatteEmbeddings as Latte,
  LattePlan,
  Tensor as LatteTensor,
} from '../../lib/index.js';

const require = createRequire(import.meta.url);

export const { LatteEmbeddings, openCheckpoint, Tensor } =
  require('../../dist/index.js') as typeof Library;
