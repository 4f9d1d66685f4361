// One inference of `conditioning`, encoded once for REST and for gRPC.
import { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';
import { numbers } from './checkpoint.mjs';

const require = createRequire(import.meta.url);
const { loadServiceDefinition } = require('../dist/transport/grpc.js');
const method = loadServiceDefinition().ModelInfer;

/** A caption [batch, tokens, width] and `steps` timesteps, with their bytes. */
export function conditioningInputs({ batch, tokens, width, steps }) {
  const timesteps = Float32Array.from({ length: steps }, (_, i) => 999 - i * (999 / steps));
  const caption = numbers(batch * tokens * width, 7);
  const input = (name, shape, { buffer }) => ({
    name,
    datatype: 'FP32',
    shape,
    bytes: Buffer.from(buffer),
  });
  return [
    input('caption', [batch, tokens, width], caption),
    input('timesteps', [steps], timesteps),
  ];
}

/** The outputs that both servers compute: not the temporal table, which is a constant. */
const outputs = ['encoder_hidden_states', 'modulation', 'embedded_timestep'];

/** A request with binary tensors after its JSON object. */
export function restRequest(inputs) {
  const json = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape, bytes }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: bytes.length },
      })),
      outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
    }),
  );
  return {
    protocol: 'http',
    body: Buffer.concat([json, ...inputs.map(({ bytes }) => bytes)]),
    headers: { 'inference-header-content-length': String(json.length) },
  };
}

export function grpcRequest(inputs) {
  const body = method.requestSerialize({
    model_name: 'conditioning',
    inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    outputs: outputs.map((name) => ({ name })),
    raw_input_contents: inputs.map(({ bytes }) => bytes),
  });
  return { protocol: 'grpc', path: method.path, body };
}

/** The floats of each output of an answer, by name. */
export function answerOf({ protocol }, { body, headerLength }) {
  const named = (list, parts) =>
    new Map(list.map(({ name }, i) => [name, new Float32Array(new Uint8Array(parts[i]).buffer)]));
  if (protocol === 'grpc') {
    const message = method.responseDeserialize(Buffer.from(body));
    return named(message.outputs, message.raw_output_contents);
  }
  const bytes = Buffer.from(body);
  const { outputs: list } = JSON.parse(bytes.toString('utf8', 0, headerLength));
  let from = headerLength;
  const parts = list.map(({ parameters }) => {
    const part = bytes.subarray(from, from + parameters.binary_data_size);
    from += part.length;
    return part;
  });
  return named(list, parts);
}
