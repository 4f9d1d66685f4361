import { LatteError } from '../../errors.js';
import type { FloatDType } from '../../tensor/dtype.js';
import { conditionNames, type ConditionName } from '../../transformer/conditions.js';
import type { Source } from '../options.js';

/** The options that give a model's conditions. Each model takes some of them. */
export interface ConditionOptions {
  caption?: Source;
  image?: Source;
  pooledProjection?: Source;
  guidance?: number[];
  additionTCond?: number[];
  ofs?: number[];
  resolution?: [number, number];
  aspectRatio?: number;
}

export interface EmbedOptions extends ConditionOptions {
  checkpoint: string;
  latent?: Source;
  steps: number;
  timesteps?: number[];
  batchSize?: number;
  device?: string;
  dtype?: FloatDType;
  seed: number;
  output: string;
  json?: boolean;
}

/** The option that gives a condition of `prepare`. */
export function optionOf(name: ConditionName): keyof ConditionOptions {
  if (name === 'encoderHiddenStates') return 'caption';
  return name === 'encoderHiddenStatesImage' ? 'image' : name;
}

/** The option as it is typed: --pooled-projection. */
function typed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The error about an option that the model needs. */
export function missing(name: keyof ConditionOptions, model: string): LatteError {
  return new LatteError('ERR_VALUE', `${typed(name)} is missing: ${model} needs it`);
}

/** Throws ERR_VALUE if a condition was given that the model does not take. */
export function refuseOthers(
  options: ConditionOptions,
  model: string,
  taken: readonly (keyof ConditionOptions)[],
): void {
  const names = conditionNames.map(optionOf);
  const other = names.find((name) => options[name] !== undefined && !taken.includes(name));
  if (other === undefined) return;
  const known = taken.length === 0 ? 'no condition' : taken.map(typed).join(', ');
  throw new LatteError(
    'ERR_VALUE',
    `${typed(other)} is nothing that ${model} takes; it takes ${known}`,
  );
}
