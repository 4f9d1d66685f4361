// The command line of the programs in this folder.
import { parseArgs } from 'node:util';

/**
 * Parses the options. An option whose default is a number takes a whole number above 0, or any finite
 * number above 0 if its name is among `fractions`. One whose default is an array takes whole numbers
 * with commas between them. The others take text.
 * @param defaults by name; undefined for an option without a default.
 */
export function parseOptions(defaults, fractions = [], args = process.argv.slice(2)) {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' }]),
  );
  const parse = (name, text) => {
    const number = text.trim() === '' ? NaN : Number(text);
    const isFraction = fractions.includes(name);
    if (number > 0 && (isFraction ? Number.isFinite(number) : Number.isSafeInteger(number)))
      return number;
    throw new Error(
      `--${name} must be a ${isFraction ? 'finite' : 'whole'} number above 0, but is '${text}'`,
    );
  };
  const given = Object.entries(parseArgs({ args, options }).values).map(([name, text]) => {
    if (Array.isArray(defaults[name]))
      return [name, text.split(',').map((part) => parse(name, part))];
    return [name, typeof defaults[name] === 'number' ? parse(name, text) : text];
  });
  return { ...defaults, ...Object.fromEntries(given) };
}
