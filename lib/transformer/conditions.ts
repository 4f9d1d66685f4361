import type { Conditioning } from '../checkpoint/model-row.js';

/** The conditions that the `prepare` of some model takes. @internal */
export const conditionNames = [
  'encoderHiddenStates',
  'encoderHiddenStatesImage',
  'pooledProjection',
  'guidance',
  'additionTCond',
  'ofs',
  'resolution',
  'aspectRatio',
] as const;

/** @internal */
export type ConditionName = (typeof conditionNames)[number];

/** The conditions that a model needs, and those that may be left out. @internal */
export function conditionsOf({ inputs, text, time, image, sizes }: Conditioning): {
  needed: ConditionName[];
  optional: ConditionName[];
} {
  const needed: ConditionName[] = [...inputs];
  if (sizes === true) needed.push('resolution', 'aspectRatio');
  if (text === undefined) return { needed, optional: [] };
  // A layer that takes text and timesteps, Wan's, needs the text.
  if (text !== time) return { needed, optional: ['encoderHiddenStates'] };
  needed.push('encoderHiddenStates');
  return { needed, optional: image === true ? ['encoderHiddenStatesImage'] : [] };
}
