import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorSpec } from '../models/model.js';
import type { ServedModel } from '../models/repository.js';
import { modelVersion, type Service } from './service.js';
import type { Duration } from './statistics.js';

// The protocol's descriptions of the server and its models, for REST and gRPC. The field names in JSON and
// in the .proto are the same.

export const platform = 'latte-embeddings';

const packageFile = join(__dirname, '..', '..', 'package.json');

export const serverVersion = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string })
  .version;

export function describeServer(): object {
  return {
    name: 'latte-embeddings-server',
    version: serverVersion,
    extensions: ['binary_tensor_data', 'model_configuration', 'model_repository', 'statistics'],
  };
}

export function describeModel(name: string, { model }: ServedModel): object {
  const tensors = (specs: readonly TensorSpec[]): object[] =>
    specs.map((spec) => ({ name: spec.name, datatype: spec.datatype, shape: spec.shape }));
  return {
    name,
    versions: [modelVersion],
    platform,
    inputs: tensors(model.inputs),
    outputs: tensors(model.outputs),
  };
}

export function describeConfig(name: string, { model }: ServedModel): object {
  return {
    name,
    platform,
    backend: platform,
    max_batch_size: 0,
    input: model.inputs.map((spec) => ({
      name: spec.name,
      data_type: `TYPE_${spec.datatype}`,
      dims: spec.shape,
      optional: spec.optional ?? false,
    })),
    output: model.outputs.map((spec) => ({
      name: spec.name,
      data_type: `TYPE_${spec.datatype}`,
      dims: spec.shape,
    })),
  };
}

export function describeIndex({ repository, ready }: Service, onlyReady: boolean): object[] {
  if (onlyReady && !ready) return [];
  return repository.models.map(({ name }) => ({
    name,
    version: modelVersion,
    state: ready ? 'READY' : 'UNAVAILABLE',
    reason: ready ? '' : 'the server is not ready',
  }));
}

export function describeStatistics(service: Service, served: readonly ServedModel[]): object {
  return { model_stats: served.map((each) => describeStatisticsOf(service, each)) };
}

function describeStatisticsOf(service: Service, served: ServedModel): object {
  const statistics = service.statisticsOf(served);
  return {
    name: served.name,
    version: modelVersion,
    last_inference: statistics.lastInference,
    inference_count: statistics.inferences,
    execution_count: statistics.executions,
    inference_stats: {
      success: copy(statistics.success),
      fail: copy(statistics.fail),
      queue: copy(statistics.queue),
      compute_input: copy(statistics.input),
      compute_infer: copy(statistics.infer),
      compute_output: copy(statistics.output),
    },
    batch_stats: statistics.batches.map((batch) => ({
      batch_size: batch.batchSize,
      compute_input: copy(batch.input),
      compute_infer: copy(batch.infer),
      compute_output: copy(batch.output),
    })),
  };
}

function copy({ count, ns }: Duration): Duration {
  return { count, ns };
}
