import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { removeUnfinished } from './output-file.js';

/** Ctrl+C and its like end the program with the usual status and leave no half-written file. */
export function leaveOnSignals(): void {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      removeUnfinished();
      // A progress bar hides the cursor and leaves its line open.
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
 * A disk that is nearly full takes the beginning of a chunk and reports no error. Node.js does not
 * write the rest if standard output is a file: the output would be cut short with status 0.
 */
function writeWholeChunks(): void {
  const { stdout } = process;
  // Pipes and terminals are sockets, which do write the rest.
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
