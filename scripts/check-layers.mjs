// Checks that dependencies point down only. Usage: check-layers.mjs [root], or
// check-layers.mjs --graph to draw them into docs/architecture.md.
//
//   C++   binding → layers → backend → system → core; a device's own folder (backend/cpu, backend/ascend)
//         is known to backend/registry alone; Node-API appears in binding alone, ACL in ascend alone
//   TS    cli → index → the rest; layers know nothing of checkpoints; one file loads the addon
//
// Neither language may have a cycle of includes or imports, be it of files or of folders, and the
// graphs in docs/architecture.md have to be those of the sources. Prints one line a violation; exit
// status 1.
import { existsSync, readFileSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const nativeLayers = ['core', 'system', 'backend', 'layers', 'binding'];
const below = nativeLayers.flatMap((lower, rank) =>
  nativeLayers.slice(rank + 1).map((upper) => ({
    from: RegExp(`^native/${lower}/`),
    to: RegExp(`^native/${upper}/`),
    why: `${lower} stands below ${upper}`,
  })),
);

/** A file that matches `from` may not include or import one that matches `to`. */
const forbidden = [
  ...below,
  { from: /^lib\//, to: /^(?!lib\/)/, why: 'which is not in lib' },
  { from: /^lib\/(?!cli\/)/, to: /^lib\/cli\//, why: 'only the command line may import lib/cli' },
  { from: /^lib\/layers\//, to: /^lib\/checkpoint\//, why: 'layers know nothing of checkpoints' },
  {
    from: /^lib\/(?!cli\/|index\.mts$)/,
    to: /^lib\/index\.ts$/,
    why: 'only the command line and tests use the public interface',
  },
];

/** The folder of a device's own sources ('native/backend/cpu'), or undefined. */
const deviceFolder = (path) => /^native\/backend\/[^/]+(?=\/)/.exec(path)?.[0];

function whyForbidden(from, to) {
  const device = deviceFolder(to);
  const mayNameIt = device === deviceFolder(from) || /^native\/backend\/registry\./.test(from);
  if (device !== undefined && !mayNameIt) return 'only native/backend/registry may name a device';
  return forbidden.find((rule) => rule.from.test(from) && rule.to.test(to))?.why;
}

/** A file that matches `from` may not have text that matches `text`. */
const unsaid = [
  {
    from: RegExp(`^native/(?!(${nativeLayers.join('|')})/)`),
    text: /^/,
    why: `is in none of native/{${nativeLayers.join(',')}}`,
  },
  {
    from: /^native\/(?!binding\/)/,
    text: /napi|\bnode_api|\buv\.h|\bv8\.h/i,
    why: 'mentions Node-API outside native/binding',
  },
  {
    from: /^native\/(?!backend\/ascend\/)/,
    text: /#\s*include\s*[<"]acl/,
    why: 'includes ACL outside native/backend/ascend',
  },
  {
    from: /^lib\/(?!addon\.ts$)/,
    text: /\bdlopen\s*\(|\.node['"`]/,
    why: 'loads an addon: only lib/addon.ts may',
  },
];

function includesOf(root, from, text) {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]/gm)]
    .map(([, name]) =>
      [join(dirname(from), name), join('native', name), name]
        .map((path) => normalize(path))
        .find((path) => path.startsWith('native/') && existsSync(join(root, path))),
    )
    .filter((to) => to !== undefined);
}

function importsOf(root, from, text) {
  return ts
    .preProcessFile(text)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => join(dirname(from), fileName).replace(/\.(m?)js$/, '.$1ts'));
}

/** Every file below `root/folder` whose name matches, with the files that it names, and its problems. */
function read(root, folder, pattern, targetsOf, problems) {
  if (!existsSync(join(root, folder))) {
    problems.push(`${join(root, folder)} does not exist`);
    return new Map();
  }
  const graph = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
    .map((from) => {
      const text = readFileSync(join(root, from), 'utf8');
      for (const rule of unsaid) {
        const line = text.slice(0, rule.text.exec(text)?.index).split('\n').length;
        if (rule.from.test(from) && rule.text.test(text))
          problems.push(`${from}:${line} ${rule.why}`);
      }
      // Highway's foreach_target has a kernel file include itself once for each instruction set.
      return [from, targetsOf(root, from, text).filter((to) => to !== from)];
    });
  for (const [from, targets] of graph) {
    for (const to of targets) {
      const why = whyForbidden(from, to);
      if (why !== undefined) problems.push(`${from} depends on ${to}: ${why}`);
    }
  }
  return new Map(graph);
}

/** One line for each cycle that a depth-first walk meets. */
function cyclesOf(graph) {
  const cycles = [];
  const state = new Map();
  const path = [];
  const visit = (node) => {
    state.set(node, 'open');
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      if (state.get(next) === 'open') {
        cycles.push(`cycle: ${[...path.slice(path.indexOf(next)), next].join(' → ')}`);
      } else if (!state.has(next)) {
        visit(next);
      }
    }
    path.pop();
    state.set(node, 'done');
  };
  for (const node of graph.keys()) if (!state.has(node)) visit(node);
  return cycles;
}

/** The node of a file in the graph of folders: its folder, or a file that is used on its own. */
function nodeOf(path) {
  const alone = /^(native\/backend\/registry|lib\/[^/]+|lib\/tensor\/dtype)\.\w+$/.exec(path);
  return alone?.[1] ?? (path.startsWith('lib/cli/') ? 'lib/cli' : dirname(path));
}

/** The same graph between folders. */
function folderGraph(files) {
  const graph = new Map();
  for (const [from, targets] of files) {
    const node = nodeOf(from);
    if (!graph.has(node)) graph.set(node, new Set());
    for (const to of targets) if (nodeOf(to) !== node) graph.get(node).add(nodeOf(to));
  }
  return graph;
}

/** A graph without cycles in Mermaid's notation, without the arrows that follow from others. */
function mermaidOf(graph) {
  const reachable = (from, to) =>
    [...(graph.get(from) ?? [])].some((next) => next === to || reachable(next, to));
  const nodes = [...graph.keys()].sort();
  const name = (node) => `n${nodes.indexOf(node)}`;
  const arrows = nodes.flatMap((node) => {
    const targets = [...graph.get(node)].sort();
    const follows = (to) => targets.some((other) => other !== to && reachable(other, to));
    return targets.filter((to) => !follows(to)).map((to) => `  ${name(node)} --> ${name(to)}`);
  });
  const boxes = nodes.map((node) => `  ${name(node)}["${node}"]`);
  return ['```mermaid', 'flowchart TD', ...boxes, ...arrows, '```'].join('\n');
}

/**
 * @param root the folder with lib and native, and perhaps docs/architecture.md.
 * @param draws whether to write the graphs into that page instead of comparing them.
 * @returns one line for each violation.
 */
export function check(root, draws = false) {
  const problems = [];
  const files = [
    read(root, 'native', /\.(cc|cpp|h|hpp|inc|inl)$/, includesOf, problems),
    read(root, 'lib', /\.m?ts$/, importsOf, problems),
  ];
  const graphs = files.map(folderGraph);
  const folderCycles = graphs.flatMap(cyclesOf);
  problems.push(...files.flatMap(cyclesOf), ...folderCycles.map((cycle) => `folders: ${cycle}`));
  const page = join(root, 'docs', 'architecture.md');
  if (existsSync(page) && folderCycles.length === 0) {
    const text = readFileSync(page, 'utf8');
    let next = 0;
    const drawn = text.replace(/```mermaid[\s\S]*?```/g, () => mermaidOf(graphs[next++]));
    if (draws) writeFileSync(page, drawn);
    else if (drawn !== text)
      problems.push(`${page} is behind: node scripts/check-layers.mjs --graph`);
  }
  return problems;
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const draws = process.argv[2] === '--graph';
  const given = draws ? undefined : process.argv[2];
  const root = resolve(given ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
  const problems = check(root, draws);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('Layers: every dependency points down.');
}
