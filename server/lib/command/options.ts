import { Command, InvalidArgumentError, Option } from 'commander';
import { availableParallelism } from 'node:os';
import { parseModelSource, type ModelSource } from '../models/repository.js';
import { serverVersion } from '../service/describe.js';

/** The options of the command line. `--help` describes each. */
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

/** Parses a whole number within bounds. */
function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Parses one of several words. */
function word<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((each) => each === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
  };
}

/** An option that takes a number of mebibytes; its value is in bytes. */
function mebibytes(flags: string, description: string, max: number, initial: number): Option {
  const parse = integer(1, max);
  return new Option(flags, description)
    .argParser((text) => parse(text) * MiB)
    .default(initial * MiB, String(initial));
}

const milliseconds = integer(0, 3_600_000);
const port = integer(0, 65535);

const modelFlags = '--model <[name=]folder>';

/** Parses the command line. @throws CommanderError for wrong usage, and after --help. */
export function parseCommandLine(): CommandOptions {
  const program: Command = createProgram().exitOverride();
  program.parse();
  const options = program.opts<Partial<CommandOptions> & Omit<CommandOptions, 'model'>>();
  const { model } = options;
  // commander would report a required option that is missing before an unknown one, its misspelling.
  if (model === undefined) program.error(`error: required option '${modelFlags}' not specified`);
  if (options.maxJson > options.maxBody) options.maxJson = options.maxBody;
  if (options.memory < options.maxBody) {
    program.error('error: --memory must be at least --max-body');
  }
  return { ...options, model };
}

export function createProgram(): Command {
  return new Command('latte-embeddings-server')
    .description(
      'Serves the condition-embedding layers of Latte, PixArt, SD3, Flux, Wan, HunyuanVideo, Sana, ' +
        'LTX-Video, Allegro, CogVideoX and Qwen-Image checkpoints by the Open Inference Protocol v2, ' +
        'over REST and gRPC. It has no authentication and no TLS: it listens on loopback; --host ' +
        'chooses another address.',
    )
    .version(serverVersion)
    .option(
      modelFlags,
      'a checkpoint; may be repeated for several',
      (text, all: ModelSource[] = []) => [...all, parseModelSource(text)],
    )
    .option('--device <devices>', "'auto', 'cpu', 'npu' or 'npu:0,npu:1'", 'auto')
    .option(
      '--dtype <dtype>',
      "the layers' dtype (default: that of the weights)",
      word('float32', 'float16', 'bfloat16'),
    )
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--http <port>', 'the port of REST and /metrics; 0: any free port', port, 8000)
    .option('--grpc <port>', 'the port of gRPC; 0: any free port', port, 8001)
    .option('--queue <n>', 'how many requests may wait; more get 429', integer(0, 100_000), 64)
    .option(
      '--batch <when>',
      "whether requests share a run: 'auto' (on the CPU only), 'on' or 'off'",
      word('auto', 'on', 'off'),
      'auto',
    )
    .option('--batch-wait <ms>', 'how long a request waits for others to join', milliseconds, 0)
    .option('--max-batch <n>', 'the most requests of a run', integer(1, 1024), 32)
    .option('--max-batch-rows <n>', 'the most tokens, or rows, of a run', integer(1, 2 ** 24), 8192)
    .option('--runs-per-device <n>', 'the most runs at the same time', integer(1, 16), 2)
    .option('--timeout <ms>', 'the longest time for a request', integer(1, 3_600_000), 30_000)
    .option(
      '--receive-timeout <ms>',
      'the longest time for receiving a request',
      integer(1, 3_600_000),
      30_000,
    )
    .addOption(mebibytes('--max-body <MiB>', 'the largest body of a request', 2047, 32))
    .addOption(mebibytes('--max-json <MiB>', 'the largest JSON of a request', 512, 16))
    .option('--max-header <bytes>', 'the largest headers', integer(1024, MiB), 16 * 1024)
    .option('--max-connections <n>', 'the most HTTP connections', integer(1, 100_000), 1024)
    .addOption(mebibytes('--memory <MiB>', 'the most memory of open requests', 2 ** 20, 2048))
    .option(
      '--drain-delay <ms>',
      'after SIGTERM, how long to serve requests although not ready, so that load balancers notice',
      milliseconds,
      0,
    )
    .option(
      '--drain-timeout <ms>',
      'after --drain-delay, how long requests may take until they are aborted',
      milliseconds,
      30_000,
    )
    .option(
      '--log-level <level>',
      'the lowest level that is logged; each request logs a line at info',
      word('debug', 'info', 'warn', 'error', 'silent'),
      'info',
    )
    .addHelpText(
      'after',
      `
This machine: ${availableParallelism()} processors.
Models of Latte and PixArt: conditioning, patch_embed, ada_layer_norm_single, caption_projection.
Of the others: each layer, by its attribute in diffusers (time_text_embed).
With several checkpoints the checkpoint's name stands before: <name>.conditioning.`,
    );
}
