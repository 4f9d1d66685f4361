import { request } from 'undici';

/** A tensor of a REST answer, with its bytes if it was binary. */
export interface RestTensor {
  name: string;
  datatype: string;
  shape: number[];
  data?: number[];
  bytes?: Buffer;
}

export interface RestAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  error?: string;
  json: Record<string, unknown>;
  outputs: RestTensor[];
}

/** An input whose bytes follow the JSON object. */
export interface BinaryInput {
  name: string;
  datatype: string;
  shape: number[];
  bytes: Uint8Array;
}

/** The body of a binary request, and the length of its JSON object. */
export function binaryBody(
  inputs: readonly BinaryInput[],
  more: object = { parameters: { binary_data_output: true } },
): { body: Buffer; headerLength: number } {
  const json = Buffer.from(
    JSON.stringify({
      ...more,
      inputs: inputs.map(({ name, datatype, shape, bytes }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: bytes.byteLength },
      })),
    }),
  );
  return {
    body: Buffer.concat([json, ...inputs.map(({ bytes }) => bytes)]),
    headerLength: json.length,
  };
}

export async function postBinary(
  base: string,
  model: string,
  inputs: readonly BinaryInput[],
  more?: object,
  signal?: AbortSignal,
): Promise<RestAnswer> {
  const { body, headerLength } = binaryBody(inputs, more);
  const headers = { 'Inference-Header-Content-Length': String(headerLength) };
  return post(`${base}/v2/models/${model}/infer`, body, headers, signal);
}

export async function postJson(base: string, model: string, body: object): Promise<RestAnswer> {
  return post(`${base}/v2/models/${model}/infer`, JSON.stringify(body), {
    'Content-Type': 'application/json',
  });
}

export async function post(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<RestAnswer> {
  const answer = await request(url, { method: 'POST', body, headers, signal });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  const length = answer.headers['inference-header-content-length'];
  const jsonLength = length === undefined ? bytes.length : Number(length);
  const json = JSON.parse(bytes.toString('utf8', 0, jsonLength)) as Record<string, unknown>;
  let next = jsonLength;
  const outputs = ((json.outputs ?? []) as RestTensor[]).map((output) => {
    const { parameters } = output as { parameters?: { binary_data_size: number } };
    if (parameters === undefined) return output;
    next += parameters.binary_data_size;
    return { ...output, bytes: bytes.subarray(next - parameters.binary_data_size, next) };
  });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    error: json.error as string | undefined,
    json,
    outputs,
  };
}

export async function get(url: string): Promise<{ status: number; json: unknown }> {
  const answer = await request(url);
  return { status: answer.statusCode, json: await answer.body.json() };
}
