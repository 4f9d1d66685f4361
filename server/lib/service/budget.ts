import { ProtocolError } from '../protocol/errors.js';

/** Limits the memory of all open requests together: bodies, results and answers. In bytes. */
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
   * Reserves bytes.
   * @returns a function that releases them; further calls of it do nothing.
   * @throws ProtocolError 'busy' if other requests use the memory, 'invalid' if the limit is lower.
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
