import type { DType, Tensor } from '../../lib/index.js';
import type { Approx } from '../reference/array.js';
import type * as reference from '../reference/layers.js';
import type { Float } from '../reference/rounding.js';

/** The inputs of an operation: tensors, or exact values for the reference. */
export type Inputs<T> = Readonly<Record<string, T | undefined>>;

export type Options = Record<string, never>;

/** The methods of a layer that the suite uses. */
export interface AnyLayer {
  loadStateDict(weights: Record<string, Tensor>): unknown;
  dispose(): void;
}

/** One function or layer: how to call it, and the reference's results. */
export interface Operation {
  /** The dtypes that its results may have. */
  readonly dtypes: readonly DType[];
  /** Only for a function of the host, which has no device and no weights. */
  readonly call?: (options: Options, inputs: Inputs<Tensor>, dtype: DType) => Tensor;
  readonly layer?: {
    parameters(options: Options): [string, number[]][];
    make(options: Options, device: string, dtype: DType): AnyLayer;
    forward(layer: AnyLayer, inputs: Inputs<Tensor>, options: Options): Promise<Tensor[]>;
    forwardSync(layer: AnyLayer, inputs: Inputs<Tensor>, options: Options): Tensor[];
  };
  /** The reference's results: exact values, and how far from them a right implementation may be. */
  expected(
    options: Options,
    weights: reference.Weights,
    inputs: Inputs<Approx>,
    dtype: Float,
    device: string,
  ): Approx[];
}
