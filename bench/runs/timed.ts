/** Runs `work`, and resolves to its nanoseconds and its result. */
export async function timed<T>(work: () => Promise<T>): Promise<[nanoseconds: number, result: T]> {
  const begin = process.hrtime.bigint();
  const result = await work();
  return [Number(process.hrtime.bigint() - begin), result];
}
