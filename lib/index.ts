// Typings with Symbol.dispose, also for programs whose own `lib` lacks it.
/// <reference lib="esnext.disposable" preserve="true" />

export { Tensor, type TensorTarget } from './tensor/tensor.js';
export type { OrtModule, OrtTensorLike } from './tensor/ort.js';
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
  get3dSincosPosEmbed,
  type Sincos1dOptions,
  type Sincos2dOptions,
  type Sincos3dOptions,
  type SincosFromGridOptions,
} from './sincos.js';
export {
  get1dRotaryPosEmbed,
  get2dRotaryPosEmbed,
  get3dRotaryPosEmbed,
  type CropCoords,
  type Rotary1dOptions,
  type Rotary3dOptions,
} from './rotary/general.js';
export {
  fluxPosEmbed,
  ltxVideoRotaryPosEmbed,
  wanRotaryPosEmbed,
  type FluxPosEmbedOptions,
  type LtxVideoPositions,
  type LtxVideoRotaryPosEmbedOptions,
  type WanRotaryPosEmbedOptions,
} from './rotary/models.js';
export type { RotaryPosEmbed } from './rotary/tables.js';
export { getTimestepEmbedding, type GetTimestepEmbeddingOptions } from './timesteps.js';
export type { ForwardOptions } from './layers/call.js';
export type { LayerOptions, LoadStateDictOptions, StateDict } from './layers/layer.js';
export type { ConditionInputs } from './layers/conditions.js';
export { PatchEmbed, type PatchEmbedOptions } from './layers/patch-embed.js';
export { Timesteps, type TimestepsOptions } from './layers/timesteps.js';
export { TimestepEmbedding, type TimestepEmbeddingOptions } from './layers/timestep-embedding.js';
export {
  CombinedTimestepSizeEmbeddings,
  type CombinedTimestepSizeEmbeddingsOptions,
} from './layers/combined-timestep-size-embeddings.js';
export { Linear, type LinearOptions } from './layers/linear.js';
export { PatchEmbed3d, type PatchEmbed3dOptions } from './layers/patch-embed-3d.js';
export {
  CogVideoXPatchEmbed,
  type CogVideoXPatchEmbedOptions,
} from './layers/cogvideox-patch-embed.js';
export {
  CombinedTimestepGuidanceTextProjEmbeddings,
  CombinedTimestepTextProjEmbeddings,
  type CombinedTimestepTextProjEmbeddingsOptions,
  type TimestepGuidanceTextInputs,
  type TimestepTextInputs,
} from './layers/combined-timestep-text-proj-embeddings.js';
export {
  SanaCombinedTimestepGuidanceEmbeddings,
  type SanaCombinedTimestepGuidanceEmbeddingsOptions,
  type TimestepGuidanceInputs,
} from './layers/sana-combined-timestep-guidance-embeddings.js';
export {
  QwenTimestepProjEmbeddings,
  type QwenTimestepInputs,
  type QwenTimestepProjEmbeddingsOptions,
} from './layers/qwen-timestep-proj-embeddings.js';
export {
  WanTimeTextImageEmbedding,
  type WanConditionInputs,
  type WanConditions,
  type WanTimeTextImageEmbeddingOptions,
} from './layers/wan-time-text-image-embedding.js';
export {
  PixArtAlphaTextProjection,
  type PixArtAlphaTextProjectionOptions,
} from './layers/pixart-alpha-text-projection.js';
export { CaptionProjection, type CaptionProjectionOptions } from './layers/caption-projection.js';
export {
  AdaLayerNormSingle,
  type AdaLayerNormSingleOptions,
  type Modulation,
} from './layers/ada-layer-norm-single.js';
export { openCheckpoint, type Checkpoint, type TensorInfo } from './checkpoint/checkpoint.js';
export { writeSafetensors, type WriteSafetensorsOptions } from './checkpoint/write-safetensors.js';
export type { LatteConfig, ModelInfo } from './checkpoint/latte-config.js';
export type { LayerKind } from './checkpoint/layer-kind.js';
export { LatteEmbeddings, type PrepareOptions } from './latte/embeddings.js';
export { loadEmbeddings } from './latte/load-embeddings.js';
export { LattePlan, type LatteStep } from './latte/plan.js';
export type { FromPretrainedOptions } from './transformer/open.js';
export type { LoadProgress } from './transformer/read.js';
export {
  TransformerEmbeddings,
  type AnyLayer,
  type TransformerPrepareOptions,
} from './transformer/embeddings.js';
export { TransformerPlan, type TransformerStep } from './transformer/plan.js';
