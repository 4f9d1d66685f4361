// system-calls.mjs <folder> <few> <many> [check]: the table of count-system-calls.sh.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, few, many, check] = process.argv.slice(2);
const forwards = Number(many) - Number(few);

/** The number of calls of each name in the output of `strace -f`; of futex, by operation. */
function callsOf(name) {
  const calls = { total: 0 };
  for (const line of readFileSync(join(folder, `${name}.calls`), 'utf8').split('\n')) {
    const [, call, rest] = /^\d+ +([a-z_0-9]+)\((.*)$/.exec(line) ?? [];
    if (call === undefined) continue; // a signal, an end, or the result of a call that took longer
    const operation = /FUTEX_(WAKE|WAIT)/.exec(rest)?.[1].toLowerCase();
    const key = operation === undefined ? call : `${call} ${operation}`;
    calls[key] = (calls[key] ?? 0) + 1;
    calls.total++;
  }
  return calls;
}

/** The cores that this process may use. */
const cores = /Cpus_allowed_list:\s*(.*)/
  .exec(readFileSync('/proc/self/status', 'utf8'))[1]
  .split(',')
  .map((range) => range.split('-').map(Number))
  .reduce((sum, [first, last = first]) => sum + last - first + 1, 0);

const switchesOf = (name) => JSON.parse(readFileSync(join(folder, `${name}.switches`), 'utf8'));

/** Calls or switches per forward: the runs' difference, divided by that of their forwards. */
function each(read, row, key) {
  const [less, more] = [few, many].map((count) => read(`${row}-${count}`)[key] ?? 0);
  return (more - less) / forwards;
}

const rows = readdirSync(folder)
  .filter((file) => file.endsWith(`-${few}.calls`))
  .map((file) => file.slice(0, -`-${few}.calls`.length))
  .sort((a, b) => Number(a.split('-')[0]) - Number(b.split('-')[0]));
const columns = ['futex wake', 'futex wait', 'sched_yield', 'sched_setaffinity', 'total'];
console.log(
  ['threads way', ...columns, 'switches: helpers', 'switches: others']
    .map((title) => title.padEnd(18))
    .join(''),
);
/**
 * TimestepEmbedding [2, 256] → 1152 is two loops, with work for 2 and for 10 threads (8 µs each). A
 * helper wakes the caller that sleeps until it has left. An awaited forward also wakes its thread, the
 * event loop and V8's.
 */
const mostWakes = (helpers, way) =>
  Math.min(1, helpers) +
  Math.min(9, helpers) +
  2 +
  (way === 'async' || way === 'alternating' ? 6 : 0);
for (const row of rows) {
  const [threads, way] = row.split('-');
  const calls = Object.fromEntries(columns.map((name) => [name, each(callsOf, row, name)]));
  const switches = ['helpers', 'others'].map((name) => each(switchesOf, row, name));
  console.log(
    [
      `${threads} ${way}`,
      ...Object.values(calls).map((n) => n.toFixed(3)),
      ...switches.map((n) => n.toFixed(3)),
    ]
      .map((cell) => cell.padEnd(18))
      .join(''),
  );
  if (check !== 'yes') continue;
  const most = mostWakes(Number(threads) - 1, way);
  // A helper calls it when it starts. With a core for each thread a late helper is moved, besides, at most
  // once in ten milliseconds (test/native/system/thread_pool.cc).
  const starts = 3 * (Number(threads) - 1);
  if (calls.sched_setaffinity * forwards > starts && Number(threads) > cores) {
    console.error(`${row}: a forward calls sched_setaffinity ${calls.sched_setaffinity} times`);
    process.exitCode = 1;
  }
  if (calls['futex wake'] > most) {
    console.error(`${row}: ${calls['futex wake']} wake-ups a forward; at most ${most}`);
    process.exitCode = 1;
  }
}
