import { devices } from 'latte-embeddings';
import { expect, test } from 'vitest';
import { twin } from '../../../test/support/twin.js';
import { caption, timesteps } from '../support/inputs.js';
import { get, postBinary } from '../support/rest.js';
import { Gate, memoryLog, serve, serveWithLog, until } from '../support/server.js';

// On the simulated NPUs of test/twin.

const npus = devices()
  .filter(({ kind }) => kind === 'npu')
  .map(({ name }) => name);
const inputs = [caption(2, 3), timesteps(999, 1)];

test('several NPUs take turns, and give the same bits', async () => {
  const { log, lines } = memoryLog();
  const { base } = await serveWithLog(log, '--device', 'auto');
  expect(npus).toHaveLength(2);
  const answers = [];
  for (let i = 0; i < 4; i++) answers.push(await postBinary(base, 'conditioning', inputs));
  for (const { outputs, status } of answers) {
    expect(status).toBe(200);
    expect(outputs).toEqual(answers[0]!.outputs);
  }
  const used = lines.filter(({ msg }) => msg === 'infer').map(({ device }) => device);
  expect(used).toEqual(['npu:0', 'npu:1', 'npu:0', 'npu:1']);
});

test('requests run on both at the same time; none shares a run by default', async () => {
  const server = await serve('--device', 'npu:0,npu:1', '--runs-per-device', '1');
  const gate = new Gate(server);
  const open = [1, 2, 3].map(() => postBinary(server.base, 'conditioning', inputs));
  await gate.arrivals(2);
  expect(server.service.scheduler.devices.map(({ runs }) => runs)).toEqual([1, 1]);
  await until(() => server.service.scheduler.queued === 1);
  gate.open();
  for (const answer of await Promise.all(open)) expect(answer.status).toBe(200);
  const served = server.service.repository.find('conditioning')!;
  expect(server.service.statisticsOf(served).executions).toBe(3);
});

test('a lost NPU takes no more requests: 503 once, then the other answers', async () => {
  const { log, lines } = memoryLog();
  const server = await serveWithLog(log, '--device', 'auto');
  twin().loseDevice(0);
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    statuses.push((await postBinary(server.base, 'conditioning', inputs)).status);
    await until(() => server.service.scheduler.running === 0);
  }
  expect(statuses).toEqual([503, 200, 200, 200]);
  expect(lines.filter(({ msg }) => msg === 'a device is lost')).toMatchObject([
    { device: 'npu:0' },
  ]);
  expect(await get(`${server.base}/v2/health/ready`)).toMatchObject({ status: 200 });
});
