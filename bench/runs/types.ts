import type { ConditioningWork } from '../work.js';

/** Who conditions the prompts: the product, or onnxruntime-node on so many threads. */
export type Engine = { name: 'product' } | { name: 'onnx'; threads: number };

/** All prompts on the main thread, or each in a worker of its own. */
export type Place = 'main' | 'workers';

export interface Setting {
  engine: Engine;
  place: Place;
  /** Prompts under way at the same time. */
  prompts: number;
  work: ConditioningWork;
}

/** What one prompt took, in nanoseconds. */
export interface PromptTimes {
  prepare: number;
  steps: number[];
}

/** Prompts of one round: all begin together. */
export interface Round {
  nanoseconds: number;
  prompts: PromptTimes[];
}

/** One prompt after another, of one caller. */
export interface Session {
  /** `prepare`, then so many steps. */
  prompt(steps: number): Promise<PromptTimes>;
  /** Some of the last tokens: the engines are to compute the same. */
  sample(): Float32Array;
}
