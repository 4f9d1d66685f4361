export { Tensor, type TensorTarget } from './tensor/tensor.js';
export type { TensorLike } from './tensor/tensor-like.js';
export type { DType, FloatDType, TensorData } from './tensor/dtype.js';
export { LatteError, type LatteErrorCode } from './errors.js';
export {
  deviceDiagnostics,
  devices,
  openDevice,
  type DeviceDiagnostics,
  type DeviceInfo,
} from './device.js';
export { memoryUsage, type MemoryUsage } from './memory.js';
export {
  get1dSincosPosEmbed,
  get1dSincosPosEmbedFromGrid,
  get2dSincosPosEmbed,
  get2dSincosPosEmbedFromGrid,
  type Sincos1dOptions,
  type Sincos2dOptions,
  type SincosFromGridOptions,
} from './sincos.js';
export { getTimestepEmbedding, type GetTimestepEmbeddingOptions } from './timesteps.js';
export type {
  ForwardOptions,
  LayerOptions,
  LoadStateDictOptions,
  StateDict,
} from './layers/layer.js';
export type { ConditionInputs } from './layers/conditions.js';
export { PatchEmbed, type PatchEmbedOptions } from './layers/patch-embed.js';
export { Timesteps, type TimestepsOptions } from './layers/timesteps.js';
export { TimestepEmbedding, type TimestepEmbeddingOptions } from './layers/timestep-embedding.js';
export {
  CombinedTimestepSizeEmbeddings,
  type CombinedTimestepSizeEmbeddingsOptions,
} from './layers/combined-timestep-size-embeddings.js';
export { CaptionProjection, type CaptionProjectionOptions } from './layers/caption-projection.js';
export {
  AdaLayerNormSingle,
  type AdaLayerNormSingleOptions,
  type Modulation,
} from './layers/ada-layer-norm-single.js';
export { openCheckpoint, type Checkpoint, type TensorInfo } from './checkpoint/checkpoint.js';
export { writeSafetensors, type WriteSafetensorsOptions } from './checkpoint/write-safetensors.js';
export type { LatteConfig, ModelInfo } from './checkpoint/config.js';
export {
  LatteEmbeddings,
  type FromPretrainedOptions,
  type PrepareOptions,
} from './latte/embeddings.js';
export { LattePlan, type LatteStep } from './latte/plan.js';
export type { LoadProgress } from './latte/load.js';
