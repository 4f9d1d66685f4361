import type { Fields } from './config-fields.js';
import { showName } from './file.js';
import { latteRow, type LatteModelRow } from './latte-config.js';
import { fieldsOfV11, latteModels } from './latte-models.js';
import type { ModelRow } from './model-row.js';
import { models } from './models.js';

/** The naming of a checkpoint's tensors: that of diffusers, or of the original PixArt. @internal */
export type Family = 'diffusers' | 'PixArt';

/** Classes that have Latte's tensor names but compute something else, and why they are refused. */
const others: Readonly<Record<string, string>> = {
  OpenSoraT2V:
    'Open-Sora-Plan v1.2 and later is another model: its positions are in the patch embedding, or rotary',
};

/** A model, and why the configuration was recognised as this model. @internal */
export interface ChosenModel {
  readonly row: ModelRow;
  readonly because: string;
}

/** A model that LatteEmbeddings reads, and why the configuration was recognised as it. @internal */
export interface ChosenLatte extends ChosenModel {
  readonly row: LatteModelRow;
}

/** Whether LatteEmbeddings reads the model. @internal */
export function isLatte(chosen: ChosenModel): chosen is ChosenLatte {
  return chosen.row.latte !== undefined;
}

/**
 * Chooses the row of a configuration by its `_class_name`; if that is missing, by the other fields and
 * the weights' names.
 * @throws LatteError ERR_CHECKPOINT for a class without a row.
 * @internal
 */
export function chooseModel(fields: Fields, family: Family | undefined): ChosenModel {
  return choose(fields, family, models);
}

/** Like {@link chooseModel}, for LatteEmbeddings, which refuses other models. @internal */
export function chooseLatte(fields: Fields, family: Family | undefined): ChosenLatte {
  return choose(fields, family, latteModels);
}

function choose<Row extends ModelRow>(
  fields: Fields,
  family: Family | undefined,
  known: readonly Row[],
): { row: Row | LatteModelRow; because: string } {
  const className = fields.get('_class_name') ?? undefined;
  if (className === undefined) return withoutClass(fields, family);
  if (typeof className !== 'string') throw fields.wrong('_class_name', 'a string');
  const rows = known.filter((row) => row.className === className);
  const row = rows.find(({ version }) => version?.when(fields) ?? true);
  if (rows.length === 0) throw unknownClass(fields, className, known);
  if (row === undefined) {
    throw fields.fail(
      `_class_name ${showName(className)} is known only if ${rows.map(({ version }) => version!.text).join(' or ')}`,
    );
  }
  const version = row.version === undefined ? '' : `, and ${row.version.text}`;
  return { row, because: `_class_name is ${showName(className)}${version}` };
}

function unknownClass(fields: Fields, className: string, known: readonly ModelRow[]): Error {
  const reason = Object.hasOwn(others, className)
    ? ` (${others[className]})`
    : models.some((row) => row.className === className)
      ? ' (TransformerEmbeddings reads it)'
      : '';
  const names = [...new Set(known.map((row) => row.className))];
  return fields.fail(
    `_class_name ${showName(className)} cannot be read here${reason}; the known classes are ${names.join(', ')}`,
  );
}

function withoutClass(fields: Fields, family: Family | undefined): ChosenLatte {
  if (fields.get('sample_size_t') !== undefined) {
    throw fields.fail(
      `sample_size_t is there, so this is OpenSoraT2V, which cannot be read here (${others.OpenSoraT2V})`,
    );
  }
  const guess = (label: string, because: string): ChosenLatte => {
    const row = latteModels.find(({ latte }) => latte.label === label)!;
    // Without a class name the class is a guess, so its defaults are not used, except for T = 16.
    const rules = { ...row.latte, defaults: { video_length: 16 } };
    return { row: latteRow(row, rules), because: `there is no _class_name, and ${because}` };
  };
  const pixArtLabel = 'PixArt of diffusers';
  if (family === 'PixArt')
    return guess(pixArtLabel, "the weights have the original PixArt's names");
  for (const { className, version, latte } of latteModels) {
    if (className !== 'LatteT2V' || version === undefined) continue;
    if (version.when(fields) && isVideo(fields)) return guess(latte.label, version.text);
  }
  return guess(pixArtLabel, 'there are no fields of a video model');
}

/** Whether a configuration without a class name has a field of a video model, and so is a LatteT2V's. */
function isVideo(fields: Fields): boolean {
  return (
    Array.isArray(fields.get('sample_size')) ||
    ['video_length', ...fieldsOfV11].some((name) => fields.get(name) !== undefined)
  );
}
