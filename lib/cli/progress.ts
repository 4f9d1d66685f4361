import { Presets, SingleBar } from 'cli-progress';

/** A progress bar. */
export interface Progress {
  /** Shows the share of the work that is done, from 0 to 1, and the current activity. */
  show(done: number, activity: string): void;
  stop(): void;
}

const silent: Progress = { show() {}, stop() {} };

/** Makes a bar on standard error if that is a terminal; else one that shows nothing. */
export function createProgress(): Progress {
  if (!process.stderr.isTTY || process.env.TERM === 'dumb') return silent;
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}%  {activity}',
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      barsize: 32,
      // The program handles Ctrl+C itself, because it also removes incomplete files.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  bar.start(1, 0, { activity: '' });
  return {
    show(done, activity) {
      bar.update(done, { activity });
      // The bar redraws on a timer, which does not run during synchronous work.
      bar.render();
    },
    stop() {
      bar.stop();
    },
  };
}
