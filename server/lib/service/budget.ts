import { ProtocolError } from '../protocol/errors.js';

/** The bytes that open requests may hold at the same time: bodies, results and answers. */
export class Budget {
  readonly limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Reserves bytes until the function that it returns is called.
   * @throws ProtocolError 'busy', or 'invalid' for what can never fit.
   */
  reserve(bytes: number): () => void {
    if (bytes > this.limit) {
      throw new ProtocolError(
        'invalid',
        `the request would take ${bytes} bytes, but ${this.limit} are the most`,
      );
    }
    if (this.#used + bytes > this.limit) {
      throw new ProtocolError('busy', 'open requests hold all memory: try again later');
    }
    this.#used += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#used -= bytes;
      isHeld = false;
    };
  }
}
