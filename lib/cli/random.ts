import { createCipheriv, createHash } from 'node:crypto';

/**
 * `count` standard normal float32 values, which depend only on `seed` and `stream` and are the same on
 * every machine. The key stream of AES-128-CTR, with a key from
 * SHA-256(`latte-embeddings:stream:seed`), gives pairs of uniform 32-bit numbers. The Box–Muller
 * transform makes normal values of them.
 */
export function randomNormal(
  count: number,
  seed: number,
  stream: string,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const key = createHash('sha256').update(`latte-embeddings:${stream}:${seed}`).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16, 32));
  const zeros = Buffer.alloc(1 << 16);
  for (let start = 0; start < count; start += zeros.length / 4) {
    const bytes = cipher.update(zeros);
    const end = Math.min(start + bytes.length / 4, count);
    for (let i = start; i < end; i += 2) {
      const offset = (i - start) * 4;
      // (n + 0.5) / 2^32 is never 0, whose logarithm would be infinite.
      const radius = Math.sqrt(-2 * Math.log((bytes.readUInt32LE(offset) + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * bytes.readUInt32LE(offset + 4)) / 2 ** 32;
      values[i] = radius * Math.cos(angle);
      if (i + 1 < end) values[i + 1] = radius * Math.sin(angle);
    }
  }
  return values;
}
