import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTarget } from '../support/build.js';
import { children } from '../support/child.js';
import { onTwin } from '../support/twin.js';

const { run } = children();

let folder: string;
let addon: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latte-failing-'));
  addon = join(buildTarget('latte_failing'), 'failing', 'latte_embeddings.node');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Report {
  failed: string[];
  unsettled: string[];
  strange: string[];
  kept: string[];
  leaked: { bytes: number; blocks: number };
}

describe('a forward of which one allocation or call of Node-API fails', () => {
  const scenarios = [
    'async',
    'out',
    'two results',
    'cancelled',
    'sync',
    'copy',
    ...(onTwin ? ['distant'] : []),
  ];

  const runScenario = async (scenario: string, env: NodeJS.ProcessEnv = {}): Promise<unknown> => {
    const control = join(folder, scenario);
    writeFileSync(control, new Uint8Array(4096));
    const ended = await run('test/lifecycle/fixtures/failing-calls', {
      args: [scenario],
      node: ['--expose-gc'],
      env: { LATTE_ADDON: addon, LATTE_FAILING_CALLS: control, ...env },
    });
    expect(ended).toMatchObject({ status: 0, signal: null, stderr: '' });
    return JSON.parse(ended.stdout) as unknown;
  };

  it.each(scenarios)('%s: ends once, leaks nothing, and the others go on', async (scenario) => {
    const { failed, unsettled, strange, kept, leaked } = (await runScenario(scenario)) as Report;
    expect(failed).toContain('operator new');
    if (scenario !== 'sync') expect(failed).toContain('napi_create_promise');
    expect(unsettled).toEqual([]);
    expect(strange).toEqual([]);
    expect(kept).toEqual([]);
    expect(leaked.bytes).toBe(0);
    // The device of an NPU keeps blocks, events and operations for later works.
    if (!onTwin) expect(leaked.blocks).toBe(0);
  });

  it('leaves nothing for the next turn of the event loop when its result was disposed', async () => {
    const { blocks } = (await runScenario('loop')) as { blocks: number };
    expect(blocks).toBeLessThan(onTwin ? 100 : 1);
  });

  it('gives a copy to a runtime that accepts no external memory', async () => {
    const report = await runScenario('refused', { LATTE_REFUSE_EXTERNAL_BUFFERS: '1' });
    expect(report).toEqual([5, 5, true, true]);
  });
});
