import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { removeUnfinished } from './output-file.js';

/** On SIGINT, SIGTERM and SIGHUP, removes incomplete files and ends with status 128 + signal number. */
export function leaveOnSignals(): void {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      removeUnfinished();
      // A progress bar hides the cursor and does not end its line: show the cursor, end the line.
      if (process.stderr.isTTY) process.stderr.write('\x1b[?25h\n');
      process.exit(status);
    });
  }
}

/**
 * Ends the program with one line and status 1 if standard output cannot be written (a full
 * disk, for example). If the reader of a pipe leaves early (`| head`), it ends without an error.
 */
export function leaveOnOutputErrors(): void {
  writeWholeChunks();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    removeUnfinished();
    if (error.code === 'EPIPE') process.exit(0);
    process.exitCode = 1;
    process.stderr.write(
      `latte-embeddings: standard output cannot be written: ${error.message}\n`,
      () => process.exit(1),
    );
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // Nothing can be printed any more; the exit status still shows the failure.
    if (error.code !== 'EPIPE') process.exitCode ??= 1;
  });
}

/**
 * Writes each chunk to standard output as a whole. A disk that is nearly full accepts the beginning of a
 * chunk without an error. If standard output is a file, Node.js does not write the rest, so the output
 * would be truncated with exit status 0.
 */
function writeWholeChunks(): void {
  const { stdout } = process;
  // Pipes and terminals are sockets; Node.js writes their chunks as a whole.
  if ((stdout as object) instanceof Socket) return;
  stdout._write = (chunk: Buffer, _encoding, callback) => {
    try {
      writeFileSync(stdout.fd, chunk);
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback();
  };
}
