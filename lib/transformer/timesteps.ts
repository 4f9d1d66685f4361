import {
  isArray,
  LatteError,
  show,
  showShape,
  typedArrayField,
  typedArrayKind,
} from '../errors.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';

/** Throws ERR_VALUE if the value is not a tensor, and ERR_DISPOSED if it was disposed. @internal */
export function checkLiveTensor(value: unknown, name: string): asserts value is Tensor {
  if (!isTensor(value)) {
    throw new LatteError('ERR_VALUE', `${name} must be a Tensor, but is ${show(value)}`);
  }
  if (value.disposed) throw new LatteError('ERR_DISPOSED', `${name} was disposed`);
}

function timestepsOf(tensor: Tensor): Float32Array {
  checkLiveTensor(tensor, 'timesteps');
  if (tensor.shape.length !== 1) {
    throw new LatteError(
      'ERR_SHAPE',
      `timesteps must have shape [S], but has ${showShape(tensor.shape)}`,
    );
  }
  return tensor.toFloat32Array();
}

/** Each step of a plan has JavaScript objects of its own. */
const mostSteps = 2 ** 20;

/**
 * The numbers of a list of timesteps: an array, a typed array, or a tensor [S] on the cpu.
 * @throws LatteError ERR_VALUE, ERR_SHAPE, ERR_STATE, ERR_DISPOSED.
 * @internal
 */
export function checkTimesteps(given: unknown): number[] {
  const timesteps = isTensor(given) ? timestepsOf(given) : given;
  const list = timesteps as ArrayLike<unknown>;
  // Read once and by index: a proxy may have another length, or iterator, at each read.
  const isTyped = typedArrayKind(timesteps) !== undefined;
  const length = isTyped
    ? typedArrayField(timesteps as ArrayBufferView, 'length')
    : isArray(timesteps)
      ? timesteps.length
      : 0;
  if (!Number.isInteger(length) || length < 1) {
    throw new LatteError(
      'ERR_VALUE',
      `timesteps must be an array of at least one number, but is ${show(timesteps)}`,
    );
  }
  if (length > mostSteps) {
    throw new LatteError(
      'ERR_VALUE',
      `timesteps may hold ${mostSteps} numbers at the most, but hold ${length}`,
    );
  }
  return Array.from({ length }, (_, i) => {
    const value = list[i];
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint') return Number(value);
    throw new LatteError(
      'ERR_VALUE',
      `timesteps must hold numbers, but timesteps[${i}] is ${show(value)}`,
    );
  });
}
