#!/usr/bin/env bash
# Counts the instructions of each CPU kernel at a small size under valgrind, and prints them as JSON:
# the same in every run, whatever else the machine does. Needs `npm run build` first: the kernels are
# the object files of the addon itself.
#
# One thread, and AVX2: valgrind knows no AVX-512.
# --update writes the counts into test/performance/instructions.json: after a change that is meant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bounds=test/performance/instructions.json

objects=build/CMakeFiles/latte_embeddings.dir/native
if [ ! -d "$objects/backend/cpu" ]; then
  echo "There is no build yet: run 'npm run build' first." >&2
  exit 2
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/latte-count.XXXXXX")
trap 'rm -rf "$folder"' EXIT
compiler=${CXX:-g++}
"$compiler" -std=c++20 -O1 -Inative test/performance/count_instructions.cc \
  "$objects"/core/*.o "$objects"/system/*.o "$objects"/backend/backend.cc.o "$objects"/backend/cpu/*.o "$objects"/backend/cpu/simd/*.o \
  -pthread -o "$folder/count"
target=$(env LATTE_CPU_TARGET=AVX2 LATTE_NUM_THREADS=1 \
  valgrind --tool=callgrind --callgrind-out-file="$folder/out" -q "$folder/count" 2>"$folder/errors") || {
  cat "$folder/errors" >&2
  exit 1
}

# Each file names the case that it was written for, and its sum.
node - "$folder" "$target" "$("$compiler" -dumpfullversion -dumpversion)" \
  "$("$compiler" --version | head -n 1)" "${1:-}" "$bounds" <<'JS'
const { readFileSync, readdirSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const [folder, target, version, name, option, bounds] = process.argv.slice(2);
const counts = readdirSync(folder)
  .filter((file) => /^out\.\d+$/.test(file))
  .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .map((text) => [
    /^desc: Trigger: Client Request: (.*)$/m.exec(text)?.[1],
    Number(/^(?:totals|summary): (\d+)$/m.exec(text)?.[1]),
  ])
  .filter(([title]) => title !== undefined);
if (counts.length === 0) throw new Error('valgrind wrote no counts');
const kind = name.includes('clang') ? 'clang' : 'gcc';
const report = { compiler: `${kind} ${version}`, target, counts: Object.fromEntries(counts) };
const text = `${JSON.stringify(report, null, 2)}\n`;
if (option === '--update') writeFileSync(bounds, text);
process.stdout.write(text);
JS
