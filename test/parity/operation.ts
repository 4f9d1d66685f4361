import type { DType, Tensor } from '../../lib/index.js';
import type { Approx } from '../reference/array.js';
import type * as reference from '../reference/layers.js';
import type { Float } from '../reference/rounding.js';

/** The inputs of an operation: tensors, and the exact values for the reference. */
export type Inputs<T> = Readonly<Record<string, T | undefined>>;

export type Options = Record<string, never>;

/** The methods of a layer that the suite uses. */
export interface AnyLayer {
  loadStateDict(weights: Record<string, Tensor>): unknown;
  dispose(): void;
}

/** How one function or layer is called, here and in the reference. */
export interface Operation {
  /** The dtypes that its results come in. */
  readonly dtypes: readonly DType[];
  /** A function of the host: no device, no weights. */
  readonly call?: (options: Options, inputs: Inputs<Tensor>, dtype: DType) => Tensor;
  readonly layer?: {
    parameters(options: Options): [string, number[]][];
    make(options: Options, device: string, dtype: DType): AnyLayer;
    forward(layer: AnyLayer, inputs: Inputs<Tensor>, options: Options): Promise<Tensor[]>;
    forwardSync(layer: AnyLayer, inputs: Inputs<Tensor>, options: Options): Tensor[];
  };
  /** Exact results, before they are stored in the dtype where `call` is set. */
  expected(
    options: Options,
    weights: reference.Weights,
    inputs: Inputs<Approx>,
    dtype: Float,
    device: string,
  ): Approx[];
}
