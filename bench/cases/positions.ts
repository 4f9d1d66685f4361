import { clocked } from '../measure.js';
import { get2dSincosPosEmbed, productName } from '../product.js';
import { numpyPositions } from '../peers/python.js';
import type { Case, Runner } from '../types.js';

export function positionsCase(dim: number, size: number): Case {
  return {
    id: 'positions',
    title: `get_2d_sincos_pos_embed(${dim}, ${size})`,
    group: 'Position table',
    unit: 'ns',
    async runners({ peers, python }) {
      const run = (): ReturnType<typeof get2dSincosPosEmbed> =>
        get2dSincosPosEmbed(dim, size, { dtype: 'float32' });
      const ours: Runner = {
        side: 'product',
        name: productName,
        variant: 'float32, pooled result',
        sample: (count) => clocked(count, () => run().dispose()),
        result() {
          const table = run();
          const copy = Float32Array.from(table.toFloat32Array());
          table.dispose();
          return copy;
        },
      };
      return [ours, ...(peers ? await numpyPositions(dim, size, python) : [])];
    },
  };
}
