// Reads the counts that count-instructions.sh has made, and prints them as JSON. --update writes
// them into the file of bounds; --check fails if a kernel takes more instructions than allowed.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, target, compiler, bounds, option] = process.argv.slice(2);

/** [case, instructions] of callgrind's files, each of which names its case. */
function callgrindCounts() {
  return readdirSync(folder)
    .filter((file) => /^out\.\d+$/.test(file))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .map((text) => [
      /^desc: Trigger: Client Request: (.*)$/m.exec(text)?.[1],
      Number(/^(?:totals|summary): (\d+)$/m.exec(text)?.[1]),
    ])
    .filter(([title]) => title !== undefined);
}

/** The same for qemu's plugin, whose lines have the number of a case and its count. */
function pluginCounts() {
  const names = readFileSync(join(folder, 'names'), 'utf8').split('\n');
  return readFileSync(join(folder, 'counts'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number))
    .map(([number, count]) => [names[number - 1], count]);
}

/**
 * How many times the committed count a kernel may take. The same compiler gives the same count in every
 * run. Another version allocates registers and unrolls differently; only a kernel without vector code
 * exceeds that factor.
 */
const sameCompiler = 1.05;
const otherCompiler = 1.6;

/** Texts of what is wrong with a report's counts, compared with the committed ones. */
function beyond(report, committed) {
  const titles = (counts) => JSON.stringify(Object.keys(counts));
  if (report.target !== committed.target || titles(report.counts) !== titles(committed.counts)) {
    return ['the counts are of other kernels than the committed ones'];
  }
  const allowance = report.compiler === committed.compiler ? sameCompiler : otherCompiler;
  return Object.entries(report.counts)
    .filter(([title, count]) => count > committed.counts[title] * allowance)
    .map(
      ([title, count]) =>
        `${title}: ${count} instructions by ${report.compiler}, ` +
        `${committed.counts[title]} by ${committed.compiler}; ` +
        'test/performance/count-instructions.sh --update takes a change that is meant',
    );
}

const counts = existsSync(join(folder, 'names')) ? pluginCounts() : callgrindCounts();
if (counts.length === 0 || counts.some(([, count]) => !Number.isInteger(count))) {
  throw new Error('nothing was counted');
}
const [id, version] = readFileSync(compiler, 'utf8').trim().split(' ');
const kind = id === 'GNU' ? 'gcc' : id.toLowerCase();
const report = { compiler: `${kind} ${version}`, target, counts: Object.fromEntries(counts) };
const text = `${JSON.stringify(report, null, 2)}\n`;
if (option === '--update') writeFileSync(bounds, text);
process.stdout.write(text);
if (option === '--check') {
  const failures = beyond(report, JSON.parse(readFileSync(bounds, 'utf8')));
  for (const failure of failures) console.error(failure);
  if (failures.length > 0) process.exit(1);
}
