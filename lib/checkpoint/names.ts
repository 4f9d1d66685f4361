import { LatteError, showShape } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import type { Family } from './choose-model.js';
import { checkpointError, showName } from './file.js';
import type { LatteSizes } from './latte-config.js';

/** The layers of models of Latte's kind, by the names in the table of models. @internal */
export type LayerName = 'posEmbed' | 'adalnSingle' | 'captionProjection';

/** A parameter of a layer, and the tensor of the checkpoint that holds it. @internal */
export interface FoundParameter {
  readonly layer: LayerName;
  /** The name in the layer's state dict. */
  readonly parameter: string;
  /** The name in the checkpoint. */
  readonly tensor: string;
}

/** The result of {@link findParameters}. @internal */
export interface FoundParameters {
  /** The naming scheme of the checkpoint, for people. */
  readonly scheme: string;
  readonly parameters: readonly FoundParameter[];
  /** The stored temporal position table, if there is one that fits. */
  readonly tempPosEmbed: string | undefined;
  /** Tables that the checkpoint has and that are not used, with the reason. */
  readonly unused: readonly UnusedTensor[];
}

/** A table that is not used. @internal */
export interface UnusedTensor {
  readonly tensor: string;
  readonly reason: string;
}

interface Wanted {
  readonly layer: LayerName;
  readonly parameter: string;
  readonly shape: readonly number[];
  readonly required: boolean;
  /** The tensor's name in each naming; undefined if checkpoints of that naming do not have it. */
  readonly names: Readonly<Record<Family, string | undefined>>;
}

interface Scheme {
  readonly label: string;
  readonly family: Family;
  /** The text before all names. */
  readonly prefix: string;
}

/** Other models than Latte's kind have one naming, to which the prefixes of these schemes apply, too. */
const schemes: readonly Scheme[] = [
  { label: 'diffusers / PKU / mindone', family: 'diffusers', prefix: '' },
  { label: 'mindone training (prefix "network.")', family: 'diffusers', prefix: 'network.' },
  { label: 'original PixArt', family: 'PixArt', prefix: '' },
  { label: 'original PixArt (prefix "network.")', family: 'PixArt', prefix: 'network.' },
];

/**
 * Finds the tensors of all layers in a checkpoint: recognises its naming scheme, and checks shapes and
 * dtypes without reading elements.
 * @param onMisfit called with the error of a stored table that does not fit; without it that is thrown.
 * @throws LatteError ERR_CHECKPOINT for a tensor that is missing, has another shape, or is there under
 *   the names of two schemes; ERR_DTYPE for one that is not floating-point. The message has the
 *   tensor's name and the scheme.
 * @internal
 */
export function findParameters(
  checkpoint: Checkpoint,
  config: LatteSizes,
  onMisfit?: (error: LatteError) => void,
): FoundParameters {
  const wanted = wantedTensors(config);
  const scheme = chooseScheme(checkpoint, wanted);
  const parameters: FoundParameter[] = [];
  const unused: UnusedTensor[] = [];
  for (const item of wanted) {
    const tensor = nameIn(scheme, item);
    refuseDoubled(checkpoint, item, scheme);
    if (tensor === undefined || !checkpoint.has(tensor)) {
      if (!item.required) continue;
      throw checkpointError(
        checkpoint.path,
        `tensor ${showName(tensor)} is missing (names tried: ${scheme.label})`,
      );
    }
    try {
      checkTensor(checkpoint, tensor, item, scheme);
    } catch (error) {
      if (item.required || onMisfit === undefined || !(error instanceof LatteError)) throw error;
      onMisfit(error);
      unused.push({ tensor, reason: 'it does not fit config.json, so loading refuses it' });
      continue;
    }
    parameters.push({ layer: item.layer, parameter: item.parameter, tensor });
  }
  const tempPosEmbed = findTemporalTable(checkpoint, config, scheme, unused);
  for (const [name, reason] of ignoredTables) {
    const tensor = scheme.prefix + name;
    if (checkpoint.has(tensor)) unused.push({ tensor, reason });
  }
  return { scheme: scheme.label, parameters, tempPosEmbed, unused };
}

/** Tables that are never used: the name after the scheme's prefix, and the reason. */
const ignoredTables: readonly (readonly [string, string])[] = [
  ['caption_projection.y_embedding', 'it replaces dropped captions in training'],
  ['y_embedder.y_embedding', 'it replaces dropped captions in training'],
  ['pos_embed', 'it is for the original order of positions; the table is computed'],
];

/**
 * Finds the stored temporal table: [1, F, D] or [F, D], where F is at least `videoLength` (mindone pads
 * the table for several devices). A table that does not fit is added to `unused`.
 */
function findTemporalTable(
  checkpoint: Checkpoint,
  { videoLength, innerDim }: LatteSizes,
  { prefix }: Scheme,
  unused: UnusedTensor[],
): string | undefined {
  const tensor = `${prefix}temp_pos_embed`;
  if (!checkpoint.has(tensor)) return undefined;
  if (videoLength === null) {
    unused.push({ tensor, reason: 'the model has no time axis' });
    return undefined;
  }
  const { dtype, shape } = checkpoint.info(tensor);
  const [rows, width] = shape.slice(-2);
  const fits =
    (shape.length === 2 || (shape.length === 3 && shape[0] === 1)) &&
    rows! >= videoLength &&
    width === innerDim &&
    isFloat(dtype);
  if (fits) return tensor;
  unused.push({
    tensor,
    reason: `${dtype} ${showShape(shape)} is no table of ${videoLength} frames x ${innerDim}; the table is computed`,
  });
  return undefined;
}

/**
 * The prefix of all names in a checkpoint, one of those in the table of schemes: 'network.' in mindone's
 * training, else ''.
 * @param name a name, without the prefix, that every checkpoint of the model has.
 * @internal
 */
export function prefixOf(checkpoint: Checkpoint, name: string): string {
  const found = schemes.find(({ prefix }) => prefix !== '' && checkpoint.has(prefix + name));
  return found?.prefix ?? '';
}

/** The naming of a checkpoint's weights; undefined if it is unknown. @internal */
export function familyOf(checkpoint: Checkpoint): Family | undefined {
  return schemes.find(({ family, prefix }) =>
    checkpoint.has(
      `${prefix}${family === 'PixArt' ? 'x_embedder.proj.weight' : 'pos_embed.proj.weight'}`,
    ),
  )?.family;
}

/** The scheme by which the checkpoint has most of the required tensors. @throws LatteError ERR_CHECKPOINT. */
function chooseScheme(checkpoint: Checkpoint, wanted: readonly Wanted[]): Scheme {
  let best: Scheme | undefined;
  let most = 0;
  for (const scheme of schemes) {
    const found = wanted.filter(
      (item) => item.required && isThere(checkpoint, nameIn(scheme, item)),
    ).length;
    if (found > most) [best, most] = [scheme, found];
  }
  if (best !== undefined) return best;
  const tried = schemes
    .map((scheme) => `${showName(nameIn(scheme, wanted[0]!))} (${scheme.label})`)
    .join(', ');
  throw checkpointError(
    checkpoint.path,
    `holds no embedding layer of Latte or PixArt; looked for ${tried} and so on`,
  );
}

function refuseDoubled(checkpoint: Checkpoint, item: Wanted, scheme: Scheme): void {
  const names = schemes
    .map((each) => nameIn(each, item))
    .filter((name) => isThere(checkpoint, name));
  if (names.length < 2) return;
  throw checkpointError(
    checkpoint.path,
    `tensor ${names.map(showName).join(' and ')} are both there, but only one can be meant (names tried: ${scheme.label})`,
  );
}

function checkTensor(checkpoint: Checkpoint, tensor: string, item: Wanted, scheme: Scheme): void {
  const { dtype, shape } = checkpoint.info(tensor);
  const fits =
    shape.length === item.shape.length &&
    item.shape.every((length, axis) => length === shape[axis]);
  if (!fits) {
    throw checkpointError(
      checkpoint.path,
      `tensor ${showName(tensor)} must have shape ${showShape(item.shape)} by config.json, but has ${showShape(shape)} (names tried: ${scheme.label})`,
    );
  }
  if (!isFloat(dtype)) {
    throw new LatteError(
      'ERR_DTYPE',
      `${checkpoint.path}: tensor ${showName(tensor)} must hold floating-point numbers, but is ${dtype} (names tried: ${scheme.label})`,
      { path: checkpoint.path },
    );
  }
}

function isFloat(dtype: string): boolean {
  return ['float64', 'float32', 'float16', 'bfloat16'].includes(dtype);
}

function nameIn({ family, prefix }: Scheme, { names }: Wanted): string | undefined {
  const name = names[family];
  return name === undefined ? undefined : prefix + name;
}

function isThere(checkpoint: Checkpoint, name: string | undefined): boolean {
  return name !== undefined && checkpoint.has(name);
}

function wantedTensors(config: LatteSizes): Wanted[] {
  const { innerDim: d, captionChannels, inChannels, patchSize, sampleSize } = config;
  // The reference's stored table is for a ⌊√N⌋ × ⌊√N⌋ grid, where N is the configured number of tokens.
  const tokens = Math.floor(sampleSize[0] / patchSize) * Math.floor(sampleSize[1] / patchSize);
  const side = Math.floor(Math.sqrt(tokens));
  const timesteps = 256;
  const wanted: Wanted[] = [];
  const linear = (
    layer: LayerName,
    parameter: string,
    diffusers: string,
    pixArt: string,
    weight: number[],
  ): void => {
    for (const [kind, shape] of [
      ['weight', weight],
      ['bias', [weight[0]!]],
    ] as const) {
      const names = { diffusers: `${diffusers}.${kind}`, PixArt: `${pixArt}.${kind}` };
      wanted.push({ layer, parameter: `${parameter}.${kind}`, shape, required: true, names });
    }
  };
  const embedder = (parameter: string, pixArt: string, width: number): void => {
    const diffusers = `adaln_single.emb.${parameter}`;
    linear('adalnSingle', `emb.${parameter}.linear_1`, `${diffusers}.linear_1`, `${pixArt}.mlp.0`, [
      width,
      timesteps,
    ]);
    linear('adalnSingle', `emb.${parameter}.linear_2`, `${diffusers}.linear_2`, `${pixArt}.mlp.2`, [
      width,
      width,
    ]);
  };
  linear('posEmbed', 'proj', 'pos_embed.proj', 'x_embedder.proj', [
    d,
    inChannels,
    patchSize,
    patchSize,
  ]);
  embedder('timestep_embedder', 't_embedder', d);
  if (config.useAdditionalConditions) {
    embedder('resolution_embedder', 'csize_embedder', d / 3);
    embedder('aspect_ratio_embedder', 'ar_embedder', d / 3);
  }
  linear('adalnSingle', 'linear', 'adaln_single.linear', 't_block.1', [6 * d, d]);
  if (captionChannels !== null) {
    const fc = (i: number): [string, string, string] => [
      `linear_${i}`,
      `caption_projection.linear_${i}`,
      `y_embedder.y_proj.fc${i}`,
    ];
    linear('captionProjection', ...fc(1), [d, captionChannels]);
    linear('captionProjection', ...fc(2), [d, d]);
  }
  // mindone stores this table among the parameters. The original PixArt's `pos_embed` is not used, as in
  // diffusers' converter: it is for another order of positions.
  wanted.push({
    layer: 'posEmbed',
    parameter: 'pos_embed',
    shape: [1, side * side, d],
    required: false,
    names: { diffusers: 'pos_embed.pos_embed', PixArt: undefined },
  });
  return wanted;
}
