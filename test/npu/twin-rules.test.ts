import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// Tests that the twin is strict: each program of test/twin/rules breaks one rule, and the twin must report it.

const program = join(process.env.ASCEND_HOME_PATH!, 'bin', 'twin_rules');
const rules = execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n');

function run(rule: string): { status: number | null; said: string } {
  const first = rule.startsWith('910A: ');
  const LATTE_TWIN_SOC = first ? 'Ascend910A' : 'Ascend910B3';
  const { status, stderr } = spawnSync(program, [rule], {
    encoding: 'utf8',
    env: { ...process.env, LATTE_TWIN_SOC, LATTE_TWIN_STRICT: '0', LATTE_TWIN_COUNT: '' },
  });
  return { status, said: stderr };
}

describe('the twin notices', () => {
  it.each(rules)('%s', (rule) => {
    const { status, said } = run(rule);
    expect(status, said).toBe(0);
  });

  it('and has the documented number of rules', () => {
    expect(rules.length).toBeGreaterThan(75);
    expect(run('no such rule').status).toBe(2);
  });
});
