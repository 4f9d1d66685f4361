import type { Fields } from './config-fields.js';
import type { LayerKind } from './layer-kind.js';

/** A layer of a model: its class, its options, and the names of its tensors. @internal */
export interface LayerRow {
  /** The attribute of the model, in camel case. */
  readonly name: string;
  readonly kind: LayerKind;
  /** The layer's options, without device and dtype. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The text before the layer's parameter names in a checkpoint. */
  readonly prefix: string;
  /** A prefix of the layer's parameter names that the checkpoint's names lack: 'proj.'. */
  readonly without?: string;
}

/** Which layers embed a model's latent and conditions, for `prepare` and `embed`. @internal */
export interface Conditioning {
  /** The layer that takes the latent. */
  readonly latent: string;
  /** The layer that takes the timesteps; undefined if the model has no plan. */
  readonly time: string | undefined;
  /** Why the model has no plan. */
  readonly why?: string;
  /** The conditions that this layer takes beside the timesteps, by the names in its forward. */
  readonly inputs: readonly ('pooledProjection' | 'guidance' | 'additionTCond' | 'ofs')[];
  /** The layer that takes the text's states. */
  readonly text?: string;
  /** Whether that layer, which is then also that of `time`, takes an image's states. */
  readonly image?: boolean;
  /** The options of Timesteps, if the layer takes sinusoids instead of timesteps. */
  readonly sinusoids?: Readonly<Record<string, unknown>>;
  /** The layer whose embedding of `ofs` is added to that of the timestep, and its sinusoids. */
  readonly ofs?: { readonly layer: string; readonly sinusoids: Readonly<Record<string, unknown>> };
  /** The largest timestep of a schedule, as the layer takes it: 1 instead of 1000. */
  readonly largestTimestep?: number;
  /** Whether the layer of `time` takes resolution and aspect ratio beside the timesteps. */
  readonly sizes?: boolean;
}

/** Everything in which the configurations of Latte's kind of models differ. @internal */
export interface LatteRules {
  /** The model's name in `inspect` and in the docs. */
  readonly label: string;
  /** The defaults of fields that are left out. A field without a default is required. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Whether `caption_channels` may be null: the caption then has no projection. */
  readonly captionOptional: boolean;
  /** The scale of the positions in a frame. */
  readonly scale2d: (fields: Fields, height: number) => number;
  /** The scale of the positions in time; null for a model without a time axis. */
  readonly scale1d: ((fields: Fields, videoLength: number) => number) | null;
  /** Whether resolution and aspect ratio are conditions beside the timestep. */
  readonly sizeConditions: (fields: Fields, height: number) => boolean;
  /** The three rules above as text, for `inspect` and the docs. */
  readonly rules: { readonly scale2d: string; readonly scale1d: string; readonly sizes: string };
}

/** One model, or one version of a model's class. @internal */
export interface ModelRow {
  readonly className: string;
  /**
   * For a class of several versions: the condition by which this version is recognised, and the same
   * condition as text. Of several rows of a class the first whose condition holds is taken.
   */
  readonly version?: { readonly when: (fields: Fields) => boolean; readonly text: string };
  /** The source of the rules: the `__init__` in this file. */
  readonly readFrom: string;
  /**
   * The first layer must have the weight that firstWeight() names: its dtype is the default of all
   * layers, and its name shows which prefix the checkpoint's names have.
   */
  readonly layers: (fields: Fields) => LayerRow[];
  readonly conditioning: (fields: Fields) => Conditioning;
  /** For the models that LatteEmbeddings reads. */
  readonly latte?: LatteRules;
}

const most = 2 ** 24;

export function whole(fields: Fields, name: string, fallback?: number): number {
  return fields.wholeNumber(name, most, fallback);
}

/** A whole number, or undefined if the field is left out or null. */
export function wholeOrNone(fields: Fields, name: string): number | undefined {
  return fields.get(name) == null ? undefined : whole(fields, name);
}

export function flag(fields: Fields, name: string, fallback: boolean): boolean {
  return fields.boolean(name) ?? fallback;
}

export function innerDim(fields: Fields): number {
  return whole(fields, 'num_attention_heads') * whole(fields, 'attention_head_dim');
}

/** The row of an attribute: timeTextEmbed of time_text_embed … @internal */
export function row(
  attribute: string,
  kind: LayerKind,
  options: Record<string, unknown>,
  more: Partial<LayerRow> = {},
): LayerRow {
  const name = attribute.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return { name, kind, options, prefix: `${attribute}.`, ...more };
}

export function linear(attribute: string, inFeatures: number, outFeatures: number): LayerRow {
  return row(attribute, 'Linear', { inFeatures, outFeatures });
}

export function textProjection(fields: Fields): LayerRow {
  return row('caption_projection', 'PixArtAlphaTextProjection', {
    inFeatures: whole(fields, 'caption_channels'),
    hiddenSize: innerDim(fields),
  });
}

/** The channels of CogVideoX's second number beside the timestep; 0 means none, as null does. */
export function ofsDim(fields: Fields): number | undefined {
  return fields.get('ofs_embed_dim') === 0 ? undefined : wholeOrNone(fields, 'ofs_embed_dim');
}

export function timeText(fields: Fields, { guidance }: { guidance: boolean }): LayerRow {
  const kind = guidance
    ? 'CombinedTimestepGuidanceTextProjEmbeddings'
    : 'CombinedTimestepTextProjEmbeddings';
  return row('time_text_embed', kind, {
    embeddingDim: innerDim(fields),
    pooledProjectionDim: whole(fields, 'pooled_projection_dim'),
  });
}

export const guided = ({ guidance }: { guidance: boolean }): Conditioning['inputs'] =>
  guidance ? ['pooledProjection', 'guidance'] : ['pooledProjection'];
