import type { ConditioningWork } from '../work.js';

/** The engine that conditions the prompts: the product, or onnxruntime-node with so many threads. */
export type Engine = { name: 'product' } | { name: 'onnx'; threads: number };

/** All prompts on the main thread, or each in a worker of its own. */
export type Place = 'main' | 'workers';

export interface Setting {
  engine: Engine;
  place: Place;
  /** The number of prompts that are conditioned at the same time. */
  prompts: number;
  work: ConditioningWork;
}

/** The times of one prompt, in nanoseconds. */
export interface PromptTimes {
  prepare: number;
  steps: number[];
}

/** The prompts of one round, which begin together. */
export interface Round {
  nanoseconds: number;
  prompts: PromptTimes[];
}

/** A session of one caller, whose prompts come one after another. */
export interface Session {
  /** Runs `prepare`, then so many steps. */
  prompt(steps: number): Promise<PromptTimes>;
  /** Some of the last tokens, to check that the engines compute the same. */
  sample(): Float32Array;
}
