import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointError, reasonOf, showName } from './file.js';

/** The kinds of checkpoints, in the order in which a folder is searched. */
const kinds = ['index', 'safetensors', 'mindspore'] as const;
type Kind = (typeof kinds)[number];

interface Candidate {
  readonly name: string;
  readonly kind: Kind;
  /** The name without the variant, the number of a shard and the ending. */
  readonly stem: string;
  readonly variant: string | undefined;
  /** Whether the file is a shard, to which an index belongs. */
  readonly shard: boolean;
}

const index = /^(.+)\.safetensors\.index(?:\.([^.]+))?\.json$/i;
const file = /^(.+?)(-\d{5}-of-\d{5})?\.(safetensors|ckpt)$/i;

/** How a file is read, by its ending; undefined for a file of another kind. @internal */
export function kindOf(path: string): Kind | undefined {
  return candidateOf(path)?.kind;
}

function candidateOf(name: string): Candidate | undefined {
  const [, indexed, variant] = index.exec(name) ?? [];
  if (indexed !== undefined) {
    // There are two spellings: save_pretrained writes ….index.fp16.json, others ….fp16.….index.json.
    const split = splitVariant(indexed);
    return variant === undefined
      ? { name, kind: 'index', shard: false, ...split }
      : { name, kind: 'index', shard: false, stem: indexed, variant };
  }
  const [, base, shard, ending] = file.exec(name) ?? [];
  if (base === undefined) return undefined;
  if (ending!.toLowerCase() === 'ckpt')
    return { name, kind: 'mindspore', shard: false, stem: base, variant: undefined };
  return { name, kind: 'safetensors', shard: shard !== undefined, ...splitVariant(base) };
}

function splitVariant(base: string): { stem: string; variant: string | undefined } {
  const dot = base.lastIndexOf('.');
  return dot < 1
    ? { stem: base, variant: undefined }
    : { stem: base.slice(0, dot), variant: base.slice(dot + 1) };
}

/**
 * Finds the file to open for a path, which may be a folder.
 * @throws LatteError ERR_CHECKPOINT if there is no such file, or several. The message names what to
 *   pass instead.
 * @internal
 */
export async function findCheckpoint(path: string, variant: string | undefined): Promise<string> {
  let names: string[];
  try {
    if (!(await stat(path)).isDirectory()) {
      if (variant === undefined) return path;
      throw checkpointError(
        path,
        `is a file, so variant ${showName(variant)} cannot be chosen; pass its folder`,
      );
    }
    names = await readdir(path);
  } catch (cause) {
    if ((cause as Error).name === 'LatteError') throw cause;
    throw checkpointError(path, `cannot be opened: ${reasonOf(cause)}`, cause);
  }
  const all = names.flatMap((name) => candidateOf(name) ?? []);
  const ofVariant = all.filter((each) => each.variant === variant);
  const whole = ofVariant.filter(({ shard }) => !shard);
  // If the folder has only one variant, or one shard, the caller need not name it.
  const pools =
    variant === undefined ? [whole, all.filter(({ shard }) => !shard), all] : [whole, ofVariant];
  for (const pool of pools) {
    for (const kind of kinds) {
      const chosen = choose(
        path,
        pool.filter((each) => each.kind === kind),
      );
      if (chosen !== undefined) return join(path, chosen);
    }
  }
  throw nothingFound(path, names, all, variant);
}

/** Chooses one of several files of a kind. @throws LatteError ERR_CHECKPOINT if that is ambiguous. */
function choose(path: string, candidates: readonly Candidate[]): string | undefined {
  const sorted = [...candidates].sort((a, b) => (a.name < b.name ? -1 : 1));
  const variants = new Set(sorted.map(({ variant }) => variant));
  const standard = sorted.filter(({ stem }) => stem === 'diffusion_pytorch_model');
  if (variants.size <= 1 && standard.length > 0) {
    // Both spellings of a variant's index may be there.
    return (standard.find(({ name }) => /\.index\.[^.]+\.json$/i.test(name)) ?? standard[0]!).name;
  }
  if (sorted.length < 2) return sorted[0]?.name;
  const shown = sorted.slice(0, 5).map(({ name }) => showName(name).slice(1, -1));
  const list = shown.join(', ') + (sorted.length > 5 ? ', …' : '');
  const hint =
    variants.size > 1
      ? `pass variant: ${showVariants(variants)}, or name the file that is meant`
      : 'name the file that is meant';
  throw checkpointError(path, `holds several checkpoints (${list}); ${hint}`);
}

function showVariants(variants: ReadonlySet<string | undefined>): string {
  const names = [...variants].filter((each) => each !== undefined).sort();
  return names
    .slice(0, 5)
    .map((each) => `'${each.slice(0, 60)}'`)
    .join(' or ');
}

function nothingFound(
  path: string,
  names: readonly string[],
  all: readonly Candidate[],
  variant: string | undefined,
): Error {
  if (variant !== undefined) {
    const others = new Set(all.map((each) => each.variant));
    others.delete(undefined);
    return checkpointError(
      path,
      `holds no files of variant ${showName(variant)}; ` +
        (others.size === 0 ? 'it has no variants' : `it has ${showVariants(others)}`),
    );
  }
  const torch = names.find((name) => /\.(bin|pt|pth)$/i.test(name));
  const hint =
    torch === undefined
      ? ''
      : `; ${showName(torch)} seems to be a PyTorch file, which cannot be read here: save it as .safetensors`;
  return checkpointError(path, `holds no *.safetensors.index.json, *.safetensors or *.ckpt${hint}`);
}
