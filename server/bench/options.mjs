// The command line of the programs in this folder.
import { parseArgs } from 'node:util';

/**
 * Parses the options. An option whose default is a number takes a number above 0; the others take text.
 * @param defaults by name; undefined for an option without a default.
 */
export function parseOptions(defaults) {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' }]),
  );
  const given = Object.entries(parseArgs({ options }).values).map(([name, text]) => {
    if (typeof defaults[name] !== 'number') return [name, text];
    const number = Number(text);
    if (number > 0) return [name, number];
    throw new Error(`--${name} must be a number above 0, but is ${text}`);
  });
  return { ...defaults, ...Object.fromEntries(given) };
}
