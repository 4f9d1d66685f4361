/** Where a figure comes from: the product, another library, or the machine's own limit. */
export type Side = 'product' | 'peer' | 'limit';

export type Unit = 'ns' | 'bytes';

/** One way of computing a case. The runners of a case are measured in alternation. */
export interface Runner {
  side: Side;
  /** 'latte-embeddings', 'onnxruntime-node', 'PyTorch' … or the limit's name. */
  name: string;
  /** What distinguishes it from others of the same name: dtype, graph, threads. */
  variant: string;
  /** The dtype of a product's runner. */
  dtype?: string;
  /** The dtypes of the product to which a limit applies. */
  limits?: string[];
  /** Figures of `count` calls, one after another. */
  sample(count: number): Promise<number[]> | number[];
  /** Its result as float32, to be compared with the others'; undefined for a limit. */
  result?(): Promise<Float32Array> | Float32Array;
  /** The largest allowed difference from the product's float32 result. Default: 1e-3 of the largest value. */
  tolerance?: number;
  /** Each call is a sample of its own, without others before it. */
  once?: boolean;
  close?(): Promise<void> | void;
}

export interface Case {
  id: string;
  title: string;
  /** The group of the case in pictures and tables. */
  group: string;
  unit: Unit;
  /** Milliseconds without work before each measured call: what a call costs after idling. */
  idle?: number;
  /** Whether another process keeps every core at work meanwhile. */
  busy?: boolean;
  /** The number of rounds, for cases in which a round takes seconds. */
  rounds?: number;
  /** A line for the reader, under the table. */
  note?: string;
  runners(context: CaseContext): Promise<Runner[]>;
}

export interface CaseContext {
  /** Threads of the product and of the limits. */
  threads: number;
  /** Leave out peers: thread counts other than the default compare the product with the machine. */
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
  /** Every sample, in the order of the rounds: ratios are taken round by round. */
  figures: number[];
  dtype?: string;
  limits?: string[];
  /** Largest difference to the product's first runner, relative to its largest value. */
  difference?: number;
  /** Only measured to choose among a peer's variants, in fewer rounds. */
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
  /** Peers that are not there, and why. */
  missing: string[];
}
