import { LatteError } from '../errors.js';
import { checkArgumentCount, checkBoolean, checkInteger, checkOptions } from '../options.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { TensorLike } from '../tensor/tensor-like.js';
import type { Tensor } from '../tensor/tensor.js';
import { namedInputs } from './conditions.js';
import { singleResultCall, type Call, type ForwardOptions } from './call.js';
import { Layer, layerOptionNames, type LayerOptions } from './layer.js';

/** The options of {@link QwenTimestepProjEmbeddings}. */
export interface QwenTimestepProjEmbeddingsOptions extends LayerOptions {
  /** D, the channels of the result. */
  embeddingDim: number;
  /** Whether `additionTCond` chooses a row of a table that is added. Default false. */
  useAdditionalTCond?: boolean;
}

const optionNames = [...layerOptionNames, 'embeddingDim', 'useAdditionalTCond'] as const;

/** The inputs of {@link QwenTimestepProjEmbeddings}. */
export interface QwenTimestepInputs {
  /** [N], from 0 to 1: the layer multiplies it by 1000. */
  timestep: TensorLike;
  /** [N] zeros and ones. Required with `useAdditionalTCond`, refused without it. */
  additionTCond?: TensorLike;
  /** The dtype of the result, to which the sinusoids are also rounded. Default: the layer's dtype. */
  hiddenDtype?: FloatDType;
}

type QwenInputs = [conditions: QwenTimestepInputs, options?: ForwardOptions];

/**
 * The embedding of a timestep, MLP(sinusoids(1000·t)). With `useAdditionalTCond`, row
 * `additionTCond[i]` of a table is added to row i.
 *
 * Weights: `timestep_embedder.…` (256 → D → D), `addition_t_embedding.weight` [2, D]. Source:
 * `QwenTimestepProjEmbeddings` of diffusers.
 *
 * `forward({ timestep, additionTCond?, hiddenDtype? }, options?)` returns [N, embeddingDim]. It throws
 * ERR_VALUE, ERR_SHAPE and ERR_DTYPE. The values of `additionTCond` are checked only if it is on the
 * cpu. On an NPU, a number other than 0 and 1 gives a mixture of the two rows.
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

/** Throws ERR_VALUE for a number other than 0 and 1. Does not read the memory of an NPU. */
function checkRows(condition: Tensor): void {
  if (condition.disposed || condition.device !== 'cpu') return;
  const values = condition.toFloat32Array();
  const wrong = values.find((value) => value !== 0 && value !== 1);
  if (wrong !== undefined) {
    throw new LatteError('ERR_VALUE', `additionTCond must hold 0 and 1, but holds ${wrong}`);
  }
}
