import type { InferAnswer } from './request.js';

/** A ModelInferResponse for proto-loader. Outputs are always raw contents. */
export function encodeGrpcAnswer({ modelName, id, outputs }: InferAnswer): object {
  return {
    model_name: modelName,
    model_version: '1',
    id,
    outputs: outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    raw_output_contents: outputs.map(({ bytes }) => bytes),
  };
}
