import { InvalidArgumentError, type Command } from 'commander';

// Parsers of option values. They throw InvalidArgumentError, a usage error with exit status 2.

/** A whole number from `least`. */
export function wholeNumber(
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    }
    return value;
  };
}

/** A number above zero. */
export function positiveNumber(text: string): number {
  const value = parseNumber(text);
  if (value === undefined || value <= 0) {
    throw new InvalidArgumentError('It must be a number above 0.');
  }
  return value;
}

/** `999,950,900`: finite numbers; fractions and negative ones are legal timesteps. */
export function numberList(text: string): number[] {
  const values = text.split(',').map(parseNumber);
  if (values.some((value) => value === undefined)) {
    throw new InvalidArgumentError(
      'It must be numbers with commas between them, like 999,950,900.',
    );
  }
  return values as number[];
}

/** `512,512`: two numbers above zero. */
export function sizePair(text: string): [number, number] {
  const parts = text.split(',').map(parseNumber);
  const [height, width] = parts;
  if (parts.length !== 2 || !(height! > 0) || !(width! > 0)) {
    throw new InvalidArgumentError('It must be height and width in pixels, like 512,512.');
  }
  return [height!, width!];
}

/** `16x32` (rows x columns) or `16` for a square. */
export function gridSize(text: string): [number, number] {
  const match = /^([1-9]\d{0,5})(?:x([1-9]\d{0,5}))?$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError('It must be rows x columns, like 16x16.');
  }
  const rows = Number(match[1]);
  return [rows, match[2] === undefined ? rows : Number(match[2])];
}

/** Where an input tensor comes from. */
export type Source = { kind: 'file'; path: string } | { kind: 'random'; shape: number[] };

/** A path, or `random:` and the lengths of axes. @param axes the accepted forms: 'B,L'. */
export function source(...axes: string[]): (text: string) => Source {
  return (text) => {
    if (!text.startsWith('random:')) return { kind: 'file', path: text };
    const parts = text.slice('random:'.length).split(',');
    const fits = axes.some((letters) => letters.split(',').length === parts.length);
    if (!fits || !parts.every((part) => /^[1-9]\d{0,8}$/.test(part))) {
      const forms = axes.map((letters) => `random:${letters}`).join(' or ');
      throw new InvalidArgumentError(
        `It must be a .safetensors file or ${forms}, with whole numbers from 1.`,
      );
    }
    return { kind: 'random', shape: parts.map(Number) };
  };
}

/**
 * Evenly spaced timesteps of a schedule of 1000, from 999 down: 999 − ⌊1000·i/steps⌋. 20 steps are
 * 999, 949, 899 … 49 ("trailing" spacing, as samplers of few steps use it).
 */
export function spacedTimesteps(steps: number): number[] {
  return Array.from({ length: steps }, (_, i) => 999 - Math.floor((1000 * i) / steps));
}

function parseNumber(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === '' || !Number.isFinite(value) ? undefined : value;
}

/** The name of a device. The library later refuses a device that this machine does not have. */
export function deviceName(text: string): string {
  if (/^(auto|cpu|npu(:\d{1,4})?)$/.test(text)) return text;
  throw new InvalidArgumentError('It must be auto, cpu, npu or npu:0, npu:1 …');
}

/**
 * Checks a command's required options after its unknown ones. commander checks them before, so that it
 * would report that --checkpoint is missing instead of the misspelling --chekpoint.
 */
export function reportUnknownOptionsFirst(command: Command): void {
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) option.makeOptionMandatory(false);
  command.hook('preAction', () => {
    for (const option of required) {
      if (command.getOptionValue(option.attributeName()) !== undefined) continue;
      command.error(`error: required option '${option.flags}' not specified`);
    }
  });
}
