import type { Fields } from './config-fields.js';
import { latteRow, type LatteModelRow } from './latte-config.js';

const fromSize = (_: Fields, height: number): number => Math.max(Math.floor(height / 64), 1);
const fromSizeRule = 'max(sample_size // 64, 1)';
const none = { sizeConditions: () => false, sizes: 'none' };

/** Fields that LatteT2V has since Open-Sora-Plan v1.1.0. A configuration with one of them is of v1.1. */
export const fieldsOfV11 = [
  'use_rope',
  'compress_kv_factor',
  'model_max_length',
  'interpolation_scale_1d',
];

const latteT2VDefaults = {
  num_attention_heads: 16,
  attention_head_dim: 88,
  caption_channels: null,
  video_length: 16,
};

/** The fields that PixArt's two rows share. Its class was Transformer2DModel before diffusers 0.28. */
const pixArt = {
  captionOptional: true,
  scale2d: (fields: Fields, height: number) =>
    fields.scale('interpolation_scale') ?? fromSize(fields, height),
  scale1d: null,
  sizeConditions: (fields: Fields, height: number) =>
    fields.boolean('use_additional_conditions') ?? height === 128,
  rules: {
    scale2d: `interpolation_scale, or if it is null ${fromSizeRule}`,
    scale1d: 'no time axis',
    sizes: 'use_additional_conditions, or if it is null sample_size == 128',
  },
};

const pixArtDefaults = {
  num_attention_heads: 16,
  attention_head_dim: 72,
  in_channels: 4,
  sample_size: 128,
  patch_size: 2,
  norm_type: 'ada_norm_single',
  caption_channels: null,
};

/** The models that LatteEmbeddings reads: versions of Latte, and PixArt. @internal */
export const latteModels: readonly LatteModelRow[] = [
  latteRow(
    {
      className: 'LatteTransformer3DModel',
      readFrom: 'diffusers 0.42.1, models/transformers/latte_transformer_3d.py',
    },
    {
      label: 'Latte of diffusers',
      defaults: {
        num_attention_heads: 16,
        attention_head_dim: 88,
        sample_size: 64,
        video_length: 16,
      },
      captionOptional: false,
      scale2d: fromSize,
      scale1d: () => 1,
      sizeConditions: none.sizeConditions,
      rules: { scale2d: fromSizeRule, scale1d: '1', sizes: none.sizes },
    },
  ),
  latteRow(
    {
      className: 'LatteT2V',
      version: {
        when: (fields) => typeof fields.get('sample_size') === 'number',
        text: 'sample_size is a number',
      },
      readFrom: 'Vchitect/Latte at 04a9c21, models/latte_t2v.py',
    },
    {
      label: 'Latte of Vchitect',
      defaults: latteT2VDefaults,
      captionOptional: true,
      scale2d: fromSize,
      scale1d: () => 1,
      sizeConditions: (_, height) => height === 128,
      rules: { scale2d: fromSizeRule, scale1d: '1', sizes: 'sample_size == 128' },
    },
  ),
  latteRow(
    {
      className: 'LatteT2V',
      version: {
        when: (fields) => fieldsOfV11.some((name) => fields.get(name) !== undefined),
        text: `one of ${fieldsOfV11.join(', ')} is there`,
      },
      readFrom:
        'Open-Sora-Plan v1.1.0, opensora/models/diffusion/latte/modeling_latte.py; mindone at 037e850, examples/opensora_pku, the same file',
    },
    {
      label: 'Open-Sora-Plan v1.1, also of mindone',
      defaults: latteT2VDefaults,
      captionOptional: true,
      scale2d: fromSize,
      scale1d: (fields, frames) =>
        Math.max(
          fields.scale('interpolation_scale_1d') ?? Math.floor((frames - (frames % 2)) / 16),
          1,
        ),
      sizeConditions: none.sizeConditions,
      rules: {
        scale2d: fromSizeRule,
        scale1d:
          'max(interpolation_scale_1d, 1), or if it is null max((T - T % 2) // 16, 1), where T is video_length',
        sizes: none.sizes,
      },
    },
  ),
  latteRow(
    {
      className: 'LatteT2V',
      version: { when: () => true, text: `none of ${fieldsOfV11.join(', ')} is there` },
      readFrom: 'Open-Sora-Plan v1.0.0, opensora/models/diffusion/latte/modeling_latte.py',
    },
    {
      label: 'Open-Sora-Plan v1.0.0',
      defaults: latteT2VDefaults,
      captionOptional: true,
      scale2d: fromSize,
      scale1d: (_, frames) => Math.max(Math.floor(frames / 5), 1),
      sizeConditions: none.sizeConditions,
      rules: { scale2d: fromSizeRule, scale1d: 'max(video_length // 5, 1)', sizes: none.sizes },
    },
  ),
  latteRow(
    {
      className: 'PixArtTransformer2DModel',
      readFrom: 'diffusers 0.42.1, models/transformers/pixart_transformer_2d.py',
    },
    {
      label: 'PixArt of diffusers',
      defaults: pixArtDefaults,
      ...pixArt,
    },
  ),
  latteRow(
    {
      className: 'Transformer2DModel',
      version: {
        when: (fields) => fields.get('norm_type') === 'ada_norm_single',
        text: 'norm_type is "ada_norm_single", which diffusers reads as PixArtTransformer2DModel',
      },
      readFrom: 'diffusers 0.42.1, models/model_loading_utils.py (_CLASS_REMAPPING_DICT)',
    },
    {
      label: 'PixArt of diffusers before 0.28',
      defaults: pixArtDefaults,
      ...pixArt,
    },
  ),
];
