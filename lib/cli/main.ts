#!/usr/bin/env node
/**
 * The command line: `latte-embeddings inspect | embed | plot | devices | doctor | bench | build`. Exit
 * status 0 for success, 1 for a failure, 2 for wrong usage, 130 after Ctrl+C.
 */
import { Command, CommanderError } from 'commander';
import { benchCommand } from './bench.js';
import { buildCommand } from './build.js';
import { devicesCommand } from './devices.js';
import { doctorCommand } from './doctor.js';
import { embedCommand } from './embed.js';
import { printable } from './format.js';
import { inspectCommand } from './inspect.js';
import { reportUnknownOptionsFirst } from './options.js';
import { plotCommand } from './plot.js';
import { leaveOnOutputErrors, leaveOnSignals } from './signals.js';
import { packageVersion } from './version.js';

function createProgram(): Command {
  const program = new Command('latte-embeddings')
    .description(
      'The condition-embedding layers of diffusion transformers (Latte, PixArt, SD3, Flux, Wan, ' +
        'HunyuanVideo, Sana, LTX-Video, Allegro, CogVideoX, Qwen-Image): from a checkpoint and a ' +
        'latent, a text and timesteps to what the blocks need.',
    )
    .version(packageVersion())
    .addCommand(inspectCommand())
    .addCommand(embedCommand())
    .addCommand(plotCommand())
    .addCommand(devicesCommand())
    .addCommand(doctorCommand())
    .addCommand(benchCommand())
    .addCommand(buildCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ latte-embeddings inspect ./Latte-1/transformer
  $ latte-embeddings embed --checkpoint ./Latte-1/transformer \\
      --latent random:1,4,16,64,64 --caption random:1,120 --steps 20 -o conditions.safetensors
  $ latte-embeddings plot pos-embed --embed-dim 64 --grid 16x16 -o table.svg

Each command has its own help: latte-embeddings embed --help
Set LATTE_DEBUG=1 for the stack trace of an error.`,
    );
  forEachCommand(program, (command) => {
    reportUnknownOptionsFirst(command);
    command.exitOverride();
    command.configureOutput({
      outputError: (text, write) => {
        write(printable(text).replace(/^error: /, 'latte-embeddings: '));
      },
    });
  });
  return program;
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) forEachCommand(child, visit);
}

/** The message of an error, followed by its code if it has one. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  // Node's own messages (ENOENT: no such file …) begin with their code.
  const named = typeof code === 'string' && !error.message.includes(code);
  return named ? `${error.message} [${code}]` : error.message;
}

async function main(): Promise<number> {
  const program = createProgram();
  const { LATTE_DEBUG: debugSetting = '' } = process.env;
  if (!['', '0', '1'].includes(debugSetting)) {
    process.stderr.write(
      `latte-embeddings: the environment variable LATTE_DEBUG must be 0 or 1, but is ${printable(JSON.stringify(debugSetting))}\n`,
    );
    return 1;
  }
  try {
    if (process.argv.length <= 2) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      const asked = error.exitCode === 0;
      // Commander has printed the message already; for `plot` without a subcommand also the help.
      if (!asked && error.code !== 'commander.help') {
        process.stderr.write("Try the command with '--help'.\n");
      }
      return asked ? 0 : 2;
    }
    const debug = debugSetting === '1' && error instanceof Error;
    const text = debug ? (error.stack ?? error.message) : describe(error);
    process.stderr.write(`latte-embeddings: ${printable(text)}\n`);
    return 1;
  }
}

leaveOnSignals();
leaveOnOutputErrors();
void main().then((status) => {
  // process.exit would lose output that is still in a pipe. A command may have set its own exit status.
  if (status !== 0) process.exitCode = status;
});
