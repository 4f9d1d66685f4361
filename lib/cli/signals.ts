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

/** The reader of a pipe may leave early (`| head`): that is no failure of ours. */
export function leaveOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      removeUnfinished();
      process.exit(0);
    });
  }
}
