// Checks that dependencies point down only, as the design says. Usage: check-layers.mjs [root], or
// check-layers.mjs --graph to draw them into docs/architecture.md.
//
//   C++   binding → layers → backend → system → core; a device's own folder (backend/cpu, backend/ascend)
//         is known to backend/registry alone; Node-API appears in binding alone, ACL in ascend alone
//   TS    cli → index → the rest; layers know nothing of checkpoints; one file loads the addon
//
// Neither language may have a cycle of includes or imports, be it of files or of folders, and the
// graphs in docs/architecture.md have to be those of the sources. Prints one line a violation; exit
// status 1.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const nativeLayers = ['core', 'system', 'backend', 'layers', 'binding'];

/** Every file below `root/folder` whose name matches, as sorted paths relative to root, with '/'. */
function filesIn(root, folder, pattern) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** The folder of a device's own sources ('native/backend/cpu'), or undefined. */
function deviceFolder(path) {
  return /^native\/backend\/[^/]+(?=\/)/.exec(path)?.[0];
}

function checkInclude(from, to) {
  const rankOf = (path) => nativeLayers.indexOf(path.split('/')[1]);
  if (rankOf(to) > rankOf(from)) {
    return `${from} includes ${to}: ${from.split('/')[1]} stands below ${to.split('/')[1]}`;
  }
  const device = deviceFolder(to);
  if (
    device !== undefined &&
    device !== deviceFolder(from) &&
    !/^native\/backend\/registry\./.test(from)
  ) {
    return `${from} includes ${to}: only native/backend/registry may name a device`;
  }
  return undefined;
}

function checkNative(root, graph) {
  const problems = [];
  for (const from of filesIn(root, 'native', /\.(cc|cpp|h|hpp|inc|inl)$/)) {
    const text = readFileSync(join(root, from), 'utf8');
    const layer = from.split('/')[1];
    if (!nativeLayers.includes(layer)) {
      problems.push(`${from} is in none of native/{${nativeLayers.join(',')}}`);
      continue;
    }
    if (layer !== 'binding') {
      const line = text
        .split('\n')
        .findIndex((source) => /napi|\bnode_api|\buv\.h|\bv8\.h/i.test(source));
      if (line >= 0) problems.push(`${from}:${line + 1} mentions Node-API outside native/binding`);
    }
    if (deviceFolder(from) !== 'native/backend/ascend' && /#\s*include\s*[<"]acl/.test(text)) {
      problems.push(`${from} includes ACL outside native/backend/ascend`);
    }
    const targets = [];
    for (const [, name] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]/gm)) {
      const to = [join(dirname(from), name), join('native', name), name]
        .map((path) => normalize(path).replaceAll('\\', '/'))
        .find((path) => path.startsWith('native/') && existsSync(join(root, path)));
      // Highway's foreach_target has a kernel file include itself once for each instruction set.
      if (to === undefined || to === from) continue;
      targets.push(to);
      const problem = checkInclude(from, to);
      if (problem !== undefined) problems.push(problem);
    }
    graph.set(from, targets);
  }
  return [...problems, ...cyclesOf(graph)];
}

function checkImport(from, to) {
  if (!to.startsWith('lib/')) return `${from} imports ${to}, which is not in lib`;
  if (to.startsWith('lib/cli/') && !from.startsWith('lib/cli/')) {
    return `${from} imports ${to}: only the command line may import lib/cli`;
  }
  if (from.startsWith('lib/layers/') && to.startsWith('lib/checkpoint/')) {
    return `${from} imports ${to}: layers know nothing of checkpoints`;
  }
  if (to === 'lib/index.ts' && !from.startsWith('lib/cli/') && from !== 'lib/index.mts') {
    return `${from} imports ${to}: only the command line and tests use the public interface`;
  }
  return undefined;
}

function checkTypeScript(root, graph) {
  const problems = [];
  for (const from of filesIn(root, 'lib', /\.m?ts$/)) {
    const text = readFileSync(join(root, from), 'utf8');
    if (from !== 'lib/addon.ts' && /\bdlopen\s*\(|\.node['"`]/.test(text)) {
      problems.push(`${from} loads an addon: only lib/addon.ts may`);
    }
    const targets = [];
    for (const { fileName } of ts.preProcessFile(text).importedFiles) {
      if (!fileName.startsWith('.')) continue;
      const to = normalize(join(dirname(from), fileName))
        .replaceAll('\\', '/')
        .replace(/\.(m?)js$/, '.$1ts');
      targets.push(to);
      const problem = checkImport(from, to);
      if (problem !== undefined) problems.push(problem);
    }
    graph.set(from, targets);
  }
  return [...problems, ...cyclesOf(graph)];
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
  const lines = ['```mermaid', 'flowchart TD'];
  const nodes = [...graph.keys()].sort();
  const name = (node) => `n${nodes.indexOf(node)}`;
  for (const node of nodes) lines.push(`  ${name(node)}["${node}"]`);
  for (const node of nodes) {
    for (const to of [...graph.get(node)].sort()) {
      const others = [...graph.get(node)].filter((other) => other !== to);
      if (!others.some((other) => reachable(other, to))) {
        lines.push(`  ${name(node)} --> ${name(to)}`);
      }
    }
  }
  return [...lines, '```'].join('\n');
}

/** The page with the graphs in the place of those that it has. */
function withGraphs(page, graphs) {
  let next = 0;
  return page.replace(/```mermaid[\s\S]*?```/g, () => mermaidOf(graphs[next++]));
}

const draws = process.argv[2] === '--graph';
const given = draws ? undefined : process.argv[2];
const root = resolve(given ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const native = new Map();
const typescript = new Map();
const problems = [...checkNative(root, native), ...checkTypeScript(root, typescript)];
for (const folder of ['native', 'lib']) {
  if (!existsSync(join(root, folder))) problems.push(`${join(root, folder)} does not exist`);
}
const graphs = [folderGraph(native), folderGraph(typescript)];
const folderCycles = graphs.flatMap(cyclesOf);
problems.push(...folderCycles.map((cycle) => `folders: ${cycle}`));
const page = join(root, 'docs', 'architecture.md');
if (existsSync(page) && folderCycles.length === 0) {
  const text = readFileSync(page, 'utf8');
  const drawn = withGraphs(text, graphs);
  if (draws) writeFileSync(page, drawn);
  else if (drawn !== text)
    problems.push(`${page} is behind: node scripts/check-layers.mjs --graph`);
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log('Layers: every dependency points down.');
