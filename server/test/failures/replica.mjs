// A replica: the command in a process of its own, which keeps its port when it is restarted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export class Replica {
  #process;
  #args;
  port = 0;
  /** The port of gRPC, another one after each start. */
  grpc = 0;

  constructor(main, args) {
    this.#args = [main, ...args];
  }

  get pid() {
    return this.#process.pid;
  }

  /** Starts the process; resolves once it is ready. */
  async start() {
    const args = [...this.#args, '--http', String(this.port), '--grpc', '0'];
    this.#process = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LATTE_NUM_THREADS: '1' },
    });
    this.ended = once(this.#process, 'exit').then(([code, signal]) => signal ?? code);
    const ready = new Promise((resolve) => {
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        const { msg, http, grpc } = JSON.parse(line);
        if (msg.startsWith('ready')) resolve({ http, grpc });
        if (msg.includes('cannot start')) console.error(msg);
      });
    });
    const { http, grpc } = await Promise.race([
      ready,
      this.ended.then((how) => Promise.reject(new Error(`a replica ended: ${how}`))),
    ]);
    this.port = http;
    this.grpc = grpc;
  }

  /** Ends the process by a signal; resolves to its status, or to the signal. */
  async end(signal) {
    this.#process.kill(signal);
    return this.ended;
  }
}
