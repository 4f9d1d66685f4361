import { expect, onTestFinished, test, vi } from 'vitest';
import { Repository } from '../lib/models/repository.js';
import { GrpcClient } from './support/grpc.js';
import { caption, timesteps } from './support/inputs.js';
import { get, postBinary } from './support/rest.js';
import { memoryLog, serveWithLog, until } from './support/server.js';

test('while the weights are loaded the server is live, not ready, and refuses requests', async () => {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const spy = vi.spyOn(Repository.prototype, 'load').mockImplementation(async function (
    this: Repository,
    ...args
  ) {
    await opened;
    spy.mockRestore();
    return this.load(...args);
  });
  onTestFinished(() => spy.mockRestore());
  const { log, lines } = memoryLog();
  const starting = serveWithLog(log);
  const listening = (): Record<string, unknown> | undefined =>
    lines.find(({ msg }) => String(msg).startsWith('listening'));
  await until(() => listening() !== undefined);
  const { http, grpc } = listening() as { http: number; grpc: number };
  const base = `http://127.0.0.1:${http}`;
  const client = new GrpcClient(grpc);

  expect(await get(`${base}/v2/health/live`)).toEqual({ status: 200, json: { live: true } });
  expect(await get(`${base}/v2/health/ready`)).toEqual({ status: 503, json: { ready: false } });
  expect(await client.call('ServerLive')).toEqual({ live: true });
  expect(await client.call('ServerReady')).toEqual({ ready: false });
  expect(await get(`${base}/v2/models/conditioning`)).toMatchObject({ status: 503 });
  const inputs = [caption(1, 2), timesteps(1)];
  const refused = await postBinary(base, 'conditioning', inputs);
  expect([refused.status, refused.error]).toEqual([503, 'the weights are being loaded']);
  await expect(client.infer('conditioning', inputs)).rejects.toMatchObject({ code: 14 });

  expect(spy).toHaveBeenCalledTimes(1);
  open();
  await starting;
  expect(await get(`${base}/v2/health/ready`)).toEqual({ status: 200, json: { ready: true } });
  expect((await postBinary(base, 'conditioning', inputs)).status).toBe(200);
});
