import { Command, InvalidArgumentError } from 'commander';
import { availableParallelism } from 'node:os';
import { parseModelSource, type ModelSource } from '../models/repository.js';
import { serverVersion } from '../service/describe.js';

/** What the command line asks for. */
export interface CommandOptions {
  model: ModelSource[];
  device: string;
  dtype?: 'float32' | 'float16' | 'bfloat16';
  host: string;
  http: number;
  grpc: number;
  queue: number;
  batch: 'auto' | 'on' | 'off';
  batchWait: number;
  maxBatch: number;
  maxBatchRows: number;
  runsPerDevice: number;
  timeout: number;
  receiveTimeout: number;
  maxBody: number;
  maxJson: number;
  maxHeader: number;
  maxConnections: number;
  memory: number;
  drainDelay: number;
  drainTimeout: number;
  logLevel: string;
}

const MiB = 2 ** 20;

/** A whole number within bounds. */
function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** One of several words. */
function word<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((each) => each === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
  };
}

/** Mebibytes, as bytes. */
function mebibytes(max: number): (text: string) => number {
  const parse = integer(1, max);
  return (text) => parse(text) * MiB;
}

const milliseconds = integer(0, 3_600_000);
const port = integer(0, 65535);

export function createProgram(): Command {
  return new Command('latte-embeddings-server')
    .description(
      'Serves the condition-embedding layers of Latte and PixArt checkpoints by the Open\n' +
        'Inference Protocol v2, over REST and gRPC. It has no authentication and no TLS: it listens\n' +
        'on loopback unless --host says otherwise.',
    )
    .version(serverVersion)
    .requiredOption(
      '--model <[name=]folder>',
      'a checkpoint; may be given several times',
      (text, all: ModelSource[] = []) => [...all, parseModelSource(text)],
    )
    .option('--device <devices>', "'auto', 'cpu', 'npu' or 'npu:0,npu:1'", 'auto')
    .option(
      '--dtype <dtype>',
      'of the layers; by default that of the weights',
      word('float32', 'float16', 'bfloat16'),
    )
    .option('--host <address>', 'to listen on', '127.0.0.1')
    .option('--http <port>', 'of REST and /metrics; 0: any', port, 8000)
    .option('--grpc <port>', '0: any', port, 8001)
    .option('--queue <n>', 'requests that may wait; the next is refused', integer(0, 100_000), 64)
    .option(
      '--batch <when>',
      "'auto' (on the CPU), 'on' or 'off': whether requests share a run",
      word('auto', 'on', 'off'),
      'auto',
    )
    .option('--batch-wait <ms>', 'how long a request waits for others; 0: not', milliseconds, 0)
    .option('--max-batch <n>', 'requests of a run', integer(1, 1024), 32)
    .option('--max-batch-rows <n>', 'tokens, or rows, of a run', integer(1, 2 ** 24), 8192)
    .option('--runs-per-device <n>', 'at the same time', integer(1, 16), 2)
    .option('--timeout <ms>', 'the longest that a request may take', integer(1, 3_600_000), 30_000)
    .option(
      '--receive-timeout <ms>',
      'the longest that a request may take to arrive',
      integer(1, 3_600_000),
      30_000,
    )
    .option('--max-body <MiB>', 'of a request', mebibytes(2047), 32 * MiB)
    .option('--max-json <MiB>', "of a request's JSON", mebibytes(512), 16 * MiB)
    .option('--max-header <bytes>', "of a request's headers", integer(1024, MiB), 16 * 1024)
    .option('--max-connections <n>', 'of HTTP', integer(1, 100_000), 1024)
    .option('--memory <MiB>', 'that open requests may hold', mebibytes(2 ** 20), 2048 * MiB)
    .option(
      '--drain-delay <ms>',
      'after SIGTERM: serves on, but is not ready, until load balancers have seen it',
      milliseconds,
      0,
    )
    .option('--drain-timeout <ms>', 'after that: until what runs is ended', milliseconds, 30_000)
    .option(
      '--log-level <level>',
      'a line a request is info',
      word('debug', 'info', 'warn', 'error', 'silent'),
      'info',
    )
    .addHelpText(
      'after',
      `
This machine: ${availableParallelism()} processors. Models: conditioning, patch_embed, ada_layer_norm_single,
caption_projection; with several checkpoints, <name>.conditioning and so on.`,
    );
}
