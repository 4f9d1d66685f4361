import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  installManagers,
  managers,
  newUser,
  nodeVersions,
  unsupported,
  type Manager,
  type NodeVersion,
} from './managers.js';
import { kinds, tryPackage, type Kind } from './programs.js';
import { pack, temporaryFolder } from './project.js';

// Uses the packed tarball as users get it: in an empty folder with a home of its own, on a host without
// compiler, CMake or Python. Each package manager installs it, each version of Node.js runs it, from each
// kind of program. Every pair of a manager, a version and a kind is tested; with LATTE_INSTALL_TESTS=all,
// every combination.
interface Cell {
  manager: Manager;
  version: NodeVersion;
  kinds: Kind[];
}

// All kinds have a turn with each manager: in two of its cells two kinds of TypeScript each, in the others
// JavaScript, which takes less time. The managers begin at different turns, so that all kinds have a turn
// with each version, too.
const all = process.env.LATTE_INSTALL_TESTS === 'all';
const turns: Kind[][] = [
  ['esm'],
  ['bundler', 'nodenext, no @types/node'],
  ['cjs'],
  ['nodenext', 'bundler, no @types/node'],
];
const cells: Cell[] = managers.flatMap((manager, row) => {
  const supported = nodeVersions.filter((version) => unsupported(manager, version) === undefined);
  const versionOf = (turn: number): NodeVersion => {
    const version = nodeVersions[(row + turn) % nodeVersions.length]!;
    return supported.includes(version) ? version : supported[0]!;
  };
  return supported.map((version) => ({
    manager,
    version,
    kinds: all ? [...kinds] : turns.flatMap((of, turn) => (versionOf(turn) === version ? of : [])),
  }));
});

test('every pair of a manager, a version and a kind has its turn', () => {
  for (const kind of kinds) {
    const having = cells.filter((cell) => cell.kinds.includes(kind));
    expect(new Set(having.map(({ manager }) => manager)), kind).toEqual(new Set(managers));
    expect(new Set(having.map(({ version }) => version)), kind).toEqual(new Set(nodeVersions));
  }
  expect(cells).toHaveLength(managers.length * nodeVersions.length - 1); // npm 12 on Node.js 20
});

const folder = temporaryFolder('install');
let tarball: string;

beforeAll(async () => {
  await installManagers();
  tarball = (await pack(folder.path)).path;
});
afterAll(folder.remove);

describe.concurrent('installs and runs', () => {
  test.for(cells)(
    '$manager on Node.js $version: $kinds',
    async ({ manager, version, kinds: of }) => {
      const user = await newUser(folder.path, manager, version);
      const major = version === '20' ? process.versions.node.split('.')[0]! : version;
      await tryPackage(user, tarball, of, major);
    },
  );
});
