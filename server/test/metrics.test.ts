import { request } from 'undici';
import { expect, test } from 'vitest';
import { caption, timesteps } from './support/inputs.js';
import { get, postBinary } from './support/rest.js';
import { forget, Gate, serve, until } from './support/server.js';

/** The samples of /metrics by name and labels. */
async function metricsOf(base: string): Promise<Map<string, number>> {
  const text = await (await request(`${base}/metrics`)).body.text();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

test('metrics: the queue, runs, batches, outcomes and memory', async () => {
  const server = await serve('--runs-per-device', '1');
  const { base } = server;
  const gate = new Gate(server);
  const send = (): ReturnType<typeof postBinary> =>
    postBinary(base, 'conditioning', [caption(1, 2), timesteps(1)]);
  const first = send();
  await gate.arrivals(1);
  const others = [send(), send()];
  await until(() => server.service.scheduler.queued === 2);
  const busy = await metricsOf(base);
  expect(busy.get('latte_queue_requests')).toBe(2);
  expect(busy.get('latte_device_runs{device="cpu"}')).toBe(1);
  expect(busy.get('latte_open_bytes')).toBeGreaterThan(0);
  gate.open();
  await Promise.all([first, ...others]);
  await postBinary(base, 'conditioning', []);
  await postBinary(base, 'a made-up name', []);
  const metrics = await metricsOf(base);
  const outcome = (model: string, kind: string): number | undefined =>
    metrics.get(`latte_requests_total{model="${model}",protocol="http",outcome="${kind}"}`);
  expect(outcome('conditioning', 'ok')).toBe(3);
  expect(outcome('conditioning', 'invalid')).toBe(1);
  expect(outcome('', 'notFound')).toBe(1);
  expect(metrics.get('latte_queue_requests')).toBe(0);
  expect(metrics.get('latte_batch_requests_sum{model="conditioning"}')).toBe(3);
  expect(metrics.get('latte_batch_requests_count{model="conditioning"}')).toBe(2);
  expect(metrics.get('latte_device_memory_bytes{device="cpu",kind="live"}')).toBeGreaterThan(0);
  expect(metrics.get('latte_ready')).toBe(1);
});

test('a shutdown completes running requests, and refuses new ones', async () => {
  const server = await serve();
  const gate = new Gate(server);
  const open = postBinary(server.base, 'conditioning', [caption(1, 2), timesteps(1)]);
  await gate.arrivals(1);
  const stopped = server.shutDown();
  forget(server);
  expect(server.service.ready).toBe(false);
  await expect(get(`${server.base}/v2/health/live`)).rejects.toThrow();
  gate.open();
  expect((await open).status).toBe(200);
  await stopped;
  expect(server.service.scheduler.running).toBe(0);
});
