// The load generator, and what the processes of a measurement cost.
import { execFileSync, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Sends requests from a process of its own, so that no server shares its event loop. */
export class Load {
  #process = fork(fileURLToPath(new URL('load-process.mjs', import.meta.url)), {
    serialization: 'advanced',
  });

  /** One answer, `{ body, headerLength }`. */
  async once(address, request) {
    return this.#ask({ ...request, address });
  }

  /** Resolves with `{ milliseconds, seconds, cpuSeconds }`: a latency for each answer. */
  async run(address, request, { clients, seconds }) {
    return this.#ask({ ...request, address, clients, seconds });
  }

  async #ask(message) {
    const answer = new Promise((resolve, reject) => {
      const ended = () => reject(new Error('the load generator ended'));
      this.#process.once('exit', ended);
      this.#process.once('message', ({ result, error }) => {
        this.#process.off('exit', ended);
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
    });
    this.#process.send(message);
    return answer;
  }

  stop() {
    this.#process.disconnect();
  }
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** The processor time of a process so far, in seconds. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may have spaces; fields 14 and 15 are the times.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}
