import { join } from 'node:path';
import { TransformerEmbeddings } from '../../lib/index.js';
import { defaultDevice as device } from '../support/devices.js';
import { familyFolder } from '../support/golden-family.js';
import { random } from '../support/layers.js';

// Small checkpoints of the sibling models, and conditions that fit them: two rows each.

export const folderOf = (name: string): string => join(familyFolder, 'ckpt', name);
export const load = (name: string): Promise<TransformerEmbeddings> =>
  TransformerEmbeddings.fromPretrained(folderOf(name), { device });

export const text = random([2, 3, 10]);
export const pooledProjection = random([2, 14]);
export const guidance = [3500, 1000];
export const image = random([2, 4, 14]);
