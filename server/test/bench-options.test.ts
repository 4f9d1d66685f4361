import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

// A program of its own with options of each kind, because those of server/bench need a built server.
const program = `
  import { parseOptions } from ${JSON.stringify(
    pathToFileURL(join(__dirname, '..', 'bench', 'options.mjs')).href,
  )};
  const defaults = { rounds: 5, seconds: 4, clients: [1, 4], venv: undefined };
  console.log(JSON.stringify(parseOptions(defaults, ['seconds'], process.argv.slice(1))));
`;

function parse(...args: string[]): { stdout: string; stderr: string } {
  const evaluate = ['--input-type=module', '-e', program, '--'];
  return spawnSync(process.execPath, [...evaluate, ...args], { encoding: 'utf8' });
}

test('counts, lists of counts, parts of a second and text are read', () => {
  expect(JSON.parse(parse().stdout)).toEqual({ rounds: 5, seconds: 4, clients: [1, 4] });
  const args = ['--rounds', '7', '--seconds', '0.5', '--clients', '1,16', '--venv', 'x'];
  expect(JSON.parse(parse(...args).stdout)).toEqual({
    rounds: 7,
    seconds: 0.5,
    clients: [1, 16],
    venv: 'x',
  });
});

test.each([
  ['--clients', '1,x', "a whole number above 0, but is 'x'"],
  ['--clients', '1,', "a whole number above 0, but is ''"],
  ['--clients', '2.5', "a whole number above 0, but is '2.5'"],
  ['--rounds', 'Infinity', "a whole number above 0, but is 'Infinity'"],
  ['--rounds', '2.5', "a whole number above 0, but is '2.5'"],
  ['--rounds', '0', "a whole number above 0, but is '0'"],
  ['--seconds', 'Infinity', "a finite number above 0, but is 'Infinity'"],
  ['--seconds', '0', "a finite number above 0, but is '0'"],
])('%s %s is refused', (name, text, message) => {
  const { stdout, stderr } = parse(name, text);
  expect(stderr).toContain(`${name} must be ${message}`);
  expect(stdout).toBe('');
});
