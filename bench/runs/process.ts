// The process, or a worker of it, in which run.ts has prompts conditioned.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { dataOf } from '../work.js';
import { onnxSessions } from './onnx-session.js';
import { productSessions } from './product-session.js';
import { timed } from './timed.js';
import type { PromptTimes, Session, Setting } from './types.js';

function sessionsOf({ engine, work }: Setting, count: number): Promise<Session[]> {
  const data = dataOf(work);
  return engine.name === 'product'
    ? productSessions(work, data, count)
    : onnxSessions(work, data, count, engine.threads);
}

/** Runs all prompts of a process at the same time; resolves to their times. */
type Group = (steps: number) => Promise<PromptTimes[]>;

interface Prompters {
  run: Group;
  sample(): Promise<Float32Array>;
}

async function onMainThread(setting: Setting): Promise<Prompters> {
  const sessions = await sessionsOf(setting, setting.prompts);
  return {
    run: (steps) => Promise.all(sessions.map((session) => session.prompt(steps))),
    sample: () => Promise.resolve(sessions[0]!.sample()),
  };
}

async function inWorkers(setting: Setting): Promise<Prompters> {
  const script = fileURLToPath(new URL('worker.mjs', import.meta.url));
  const workers = Array.from(
    { length: setting.prompts },
    () => new Worker(script, { workerData: setting, execArgv: [] }),
  );
  const ask = async <T>(worker: Worker, question: number | 'sample'): Promise<T> => {
    worker.postMessage(question);
    const [answer] = (await once(worker, 'message')) as [T];
    return answer;
  };
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return {
    run: (steps) => Promise.all(workers.map((worker) => ask<PromptTimes>(worker, steps))),
    sample: () => ask(workers[0]!, 'sample'),
  };
}

async function serveParent(): Promise<void> {
  const [setting] = (await once(process, 'message')) as [Setting];
  const prompters = await (setting.place === 'main' ? onMainThread : inWorkers)(setting);
  await prompters.run(1);
  process.on('message', (steps: number) => {
    void (async () => {
      if (steps === 0) return process.exit(0);
      const [nanoseconds, prompts] = await timed(() => prompters.run(steps));
      process.send!({ round: { nanoseconds, prompts } });
    })();
  });
  process.send!({ sample: [...(await prompters.sample())] });
}

async function serveMainThread(): Promise<void> {
  const [session] = await sessionsOf(workerData as Setting, 1);
  parentPort!.on('message', (question: number | 'sample') => {
    if (question === 'sample') return parentPort!.postMessage(session!.sample());
    void session!.prompt(question).then((times) => parentPort!.postMessage(times));
  });
  parentPort!.postMessage('ready');
}

await (isMainThread ? serveParent() : serveMainThread());
