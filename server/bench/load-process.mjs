// The load generator's process: clients that each send the same request again once it is answered.
import * as grpc from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import { Agent, request } from 'undici';

const dispatcher = new Agent({ pipelining: 1 });
const channels = new Map();
const itself = (bytes) => bytes;

/** A client's own connection: one channel would serve all its clients over one. */
function channelOf(address, client) {
  const key = `${address} ${client}`;
  if (!channels.has(key)) {
    const options = {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    };
    channels.set(key, new grpc.Client(address, grpc.credentials.createInsecure(), options));
  }
  return channels.get(key);
}

async function send({ protocol, address, path, body, headers }, client) {
  if (protocol === 'http') {
    const url = `http://${address}/v2/models/conditioning/infer`;
    const answer = await request(url, { method: 'POST', body, headers, dispatcher });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}: ${bytes}`);
    return { body: bytes, headerLength: Number(answer.headers['inference-header-content-length']) };
  }
  const bytes = await new Promise((resolve, reject) => {
    channelOf(address, client).makeUnaryRequest(path, itself, itself, body, (error, value) =>
      error === null ? resolve(value) : reject(error),
    );
  });
  return { body: bytes };
}

/** Each request once, for its answer's bytes; or load for some time. */
async function run({ seconds, clients, ...message }) {
  message.body = Buffer.from(message.body);
  if (seconds === undefined) return send(message, 0);
  const milliseconds = [];
  const before = process.cpuUsage();
  const start = performance.now();
  const client = async (number) => {
    while (performance.now() - start < seconds * 1000) {
      const sent = performance.now();
      await send(message, number);
      milliseconds.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  const { user, system } = process.cpuUsage(before);
  return {
    milliseconds,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: (user + system) / 1e6,
  };
}

process.on('message', (message) => {
  run(message).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error.stack) }),
  );
});
process.on('disconnect', () => process.exit());
