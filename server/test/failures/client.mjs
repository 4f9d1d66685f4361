// A client that follows the rules of docs/serving.md: which requests it sends again, and when.
import { Buffer } from 'node:buffer';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

/** Statuses that another try, perhaps at another replica, may not have. */
const again = new Set([429, 502, 503]);

/** More tries than this mean a mistake that the rules do not cover. */
const maxTries = 200;

/**
 * Sends one inference until it is answered. Resolves to the fields of its JSON object, the binary part, and
 * the number of tries. Rejects for an answer after which the request must not be repeated.
 */
export async function inferWithRetries({ url, dispatcher, body, headers, onRetry }) {
  for (let tries = 1; tries <= maxTries; tries++) {
    let reason;
    try {
      const answer = await request(url, { method: 'POST', body, headers, dispatcher });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      if (answer.statusCode === 200) {
        const length = Number(answer.headers['inference-header-content-length']);
        const json = JSON.parse(bytes.toString('utf8', 0, length));
        return { json, binary: bytes.subarray(length), tries };
      }
      const isGateway = answer.statusCode === 504 && bytes[0] !== 0x7b;
      if (!again.has(answer.statusCode) && !isGateway) {
        throw new Error(`status ${answer.statusCode}: ${bytes.toString('utf8', 0, 200)}`);
      }
      reason = String(answer.statusCode);
    } catch (error) {
      // undici's errors have a code if the connection was refused, reset, or closed without an answer.
      if (error.code === undefined) throw error;
      reason = error.code;
    }
    onRetry(reason);
    const longest = Math.min(1000, 50 * 2 ** Math.min(tries - 1, 5));
    await delay(longest * (0.5 + Math.random() / 2));
  }
  throw new Error(`no answer after ${maxTries} tries`);
}
