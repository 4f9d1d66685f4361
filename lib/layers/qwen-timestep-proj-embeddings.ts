import { LatteError } from '../errors.js';
import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import {
  Layer,
  layerOptionNames,
  singleResultCall,
  type Call,
  type ForwardOptions,
  type LayerOptions,
} from './layer.js';

export interface QwenTimestepProjEmbeddingsOptions extends LayerOptions {
  /** The channels of the result. */
  embeddingDim: number;
  /** Whether a row of a table is added, which `additionTCond` chooses. Default false. */
  useAdditionalTCond?: boolean;
}

const optionNames = [...layerOptionNames, 'embeddingDim', 'useAdditionalTCond'] as const;

/** What the transformer is conditioned on at one step. */
export interface QwenTimestepInputs {
  /** [N], of 0…1: the layer multiplies it by 1000. */
  timestep: TensorLike;
  /** [N] of zeros and ones; needed with `useAdditionalTCond`, and refused without. */
  additionTCond?: TensorLike;
  /** The dtype of the result, and of the sinusoids on their way. Default: the layer's. */
  hiddenDtype?: FloatDType;
}

type QwenInputs = [conditions: QwenTimestepInputs, options?: ForwardOptions];

/**
 * MLP(sinusoid(1000·t)), plus row `additionTCond[i]` of a table with `useAdditionalTCond`.
 *
 * Weights: `timestep_embedder.…` (256 → D → D), `addition_t_embedding.weight` [2, D]. Source:
 * `QwenTimestepProjEmbeddings` of diffusers.
 *
 * `forward({ timestep, additionTCond?, hiddenDtype? }, options?)` returns [N, embeddingDim]. It throws
 * ERR_VALUE, ERR_SHAPE and ERR_DTYPE. Conditions in the memory of an NPU are not looked at: there,
 * another number than 0 and 1 gives a mixture of the two rows.
 */
export class QwenTimestepProjEmbeddings extends Layer<QwenInputs, Tensor> {
  readonly #added: boolean;

  /** @throws LatteError ERR_VALUE, ERR_DTYPE, ERR_DEVICE_UNAVAILABLE. */
  constructor(options: QwenTimestepProjEmbeddingsOptions) {
    checkArgumentCount(arguments, 1, 'new QwenTimestepProjEmbeddings(options)');
    const given = checkOptions(options, optionNames);
    const useAdditionalTCond = checkBoolean(given.useAdditionalTCond, 'useAdditionalTCond', false);
    super('QwenTimestepProjEmbeddings', given, {
      embeddingDim: checkInteger(given.embeddingDim, 'embeddingDim'),
      useAdditionalTCond,
    });
    this.#added = useAdditionalTCond;
  }

  /** @internal */
  protected override call(given: QwenInputs): Call<Tensor> {
    checkArgumentCount(given, 2, 'forward(conditions, options)');
    const [conditions, options] = given;
    const { inputs, numbers } = namedInputs(conditions, {
      timestep: 'numbers',
      additionTCond: 'numbers?',
      hiddenDtype: 'dtype?',
    });
    const condition = inputs[1]![1];
    if (this.#added && condition === undefined) {
      throw new LatteError(
        'ERR_VALUE',
        'additionTCond is needed: the layer has useAdditionalTCond',
      );
    }
    if (!this.#added && condition !== undefined) {
      throw new LatteError(
        'ERR_VALUE',
        'additionTCond was given, but the layer has no useAdditionalTCond',
      );
    }
    if (condition !== undefined) checkRows(condition);
    return singleResultCall(inputs, options, numbers);
  }
}

/** Refuses other numbers than 0 and 1, if they are on the cpu. */
function checkRows(condition: Tensor): void {
  if (condition.disposed || condition.device !== 'cpu') return;
  const values = condition.toFloat32Array();
  const wrong = values.find((value) => value !== 0 && value !== 1);
  if (wrong !== undefined) {
    throw new LatteError('ERR_VALUE', `additionTCond must hold 0 and 1, but holds ${wrong}`);
  }
}
