/** Where a figure comes from: the product, another library, or the machine's own limit. */
export type Side = 'product' | 'peer' | 'limit';

export type Unit = 'ns' | 'bytes';

/** One way of computing a case. The runners of a case are measured in alternation. */
export interface Runner {
  side: Side;
  /** The product's, library's or limit's name: 'latte-embeddings', 'onnxruntime-node', 'PyTorch' … */
  name: string;
  /** What distinguishes it from others of the same name: dtype, graph, threads. */
  variant: string;
  /** The dtype, if it is a runner of the product. */
  dtype?: string;
  /** The dtypes of the product to which a limit applies. */
  limits?: string[];
  /** Measures `count` calls, one after another; returns their figures. */
  sample(count: number): Promise<number[]> | number[];
  /** The runner's result as float32, to be compared with the others; undefined for a limit. */
  result?(): Promise<Float32Array> | Float32Array;
  /** The largest allowed difference from the product's float32 result. Default: 1e-3 of the largest value. */
  tolerance?: number;
  /** Whether each call is a sample of its own, without warm-up calls. */
  once?: boolean;
  close?(): Promise<void> | void;
}

export interface Case {
  id: string;
  title: string;
  /** The case's group in pictures and tables. */
  group: string;
  unit: Unit;
  /** Milliseconds without work before each measured call, to show what a call takes after idling. */
  idle?: number;
  /** Whether another process keeps every core at work meanwhile. */
  busy?: boolean;
  /** The number of rounds, for cases in which a round takes seconds. */
  rounds?: number;
  /** A note for the reader, under the table. */
  note?: string;
  runners(context: CaseContext): Promise<Runner[]>;
}

export interface CaseContext {
  /** The number of threads of the product and of the limits. */
  threads: number;
  /**
   * False leaves out peers: with other thread counts than the default, the product is compared with the
   * machine.
   */
  peers: boolean;
  /** The Python of bench/python/.venv, or undefined. */
  python: string | undefined;
}

export interface Row {
  side: Side;
  name: string;
  variant: string;
  median: number;
  min: number;
  max: number;
  samples: number;
  /** Every sample, in the order of the rounds, because ratios are computed per round. */
  figures: number[];
  dtype?: string;
  limits?: string[];
  /** The largest difference from the product's first runner, relative to its largest value. */
  difference?: number;
  /** Whether it was measured only to choose among a peer's variants, in fewer rounds. */
  preliminary?: boolean;
}

export interface CaseResult {
  id: string;
  title: string;
  group: string;
  unit: Unit;
  threads: number;
  rounds: number;
  note?: string;
  rows: Row[];
  /** Peers that could not be measured, and why. */
  missing: string[];
}
