import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// Runs test/twin/units/uploads_test.cc: the class that tracks which inputs of a work are on the device.

const program = join(process.env.ASCEND_HOME_PATH!, 'bin', 'uploads_test');
const cases = execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n');

describe('uploads', () => {
  it.each(cases)('%s', (name) => {
    expect(spawnSync(program, [name]).status).toBe(0);
  });
});
