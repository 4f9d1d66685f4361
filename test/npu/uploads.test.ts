import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// The class that tracks what of a work's inputs is on the device: test/twin/units/uploads_test.cc.

const program = join(process.env.ASCEND_HOME_PATH!, 'bin', 'uploads_test');
const cases = execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n');

describe('uploads', () => {
  it.each(cases)('%s', (name) => {
    expect(spawnSync(program, [name]).status).toBe(0);
  });
});
