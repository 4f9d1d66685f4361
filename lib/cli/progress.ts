import { Presets, SingleBar } from 'cli-progress';

/** A progress bar, or nothing if standard error is no terminal. */
export interface Progress {
  /** Shows how much of all work is done, from 0 to 1, and what is being done now. */
  show(done: number, activity: string): void;
  stop(): void;
}

const silent: Progress = { show() {}, stop() {} };

/** A bar on standard error when that is a terminal; nothing otherwise. */
export function createProgress(): Progress {
  if (!process.stderr.isTTY || process.env.TERM === 'dumb') return silent;
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}%  {activity}',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      barsize: 32,
      // Ctrl+C is handled by the program, which also removes unfinished files.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  bar.start(1, 0, { activity: '' });
  return {
    show(done, activity) {
      bar.update(done, { activity });
      // The bar redraws on a timer, which long synchronous work would hold up.
      bar.render();
    },
    stop() {
      bar.stop();
    },
  };
}
