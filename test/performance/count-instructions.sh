#!/usr/bin/env bash
# Counts the instructions of each CPU kernel at a small size, and prints them as JSON: the same in
# every run, whatever else the machine does. One thread. The kernels are the object files of the addon
# itself.
#
#   count-instructions.sh          AVX2, under valgrind, which knows no AVX-512; needs `npm run build` first
#   count-instructions.sh --neon   AArch64, under qemu, of the addon that the package carries; needs
#                                  scripts/check-aarch64.sh first, which calls this
#
# --update writes the counts into instructions[-neon].json, after an intended change.
# --check fails if a count is more than the committed one allows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

neon='' option=''
for argument in "$@"; do
  case $argument in
    --neon) neon=yes ;;
    --update | --check) option=$argument ;;
    *)
      echo "unknown option $argument; there are --neon, --update and --check" >&2
      exit 2
      ;;
  esac
done
bounds=test/performance/instructions${neon:+-neon}.json
build=build first='npm run build'
if [ -n "$neon" ]; then build=build-prebuilds/arm64 first=scripts/check-aarch64.sh; fi
if [ ! -e "$build/CMakeCache.txt" ]; then
  echo "There is no build yet: run '$first' first." >&2
  exit 2
fi
flock "$build" cmake --build "$build" --target count_instructions </dev/null >/dev/null
count=$build/count_instructions
folder=$(mktemp -d "${TMPDIR:-/tmp}/latte-count.XXXXXX")
trap 'rm -rf "$folder"' EXIT
export LATTE_NUM_THREADS=1
if [ -n "$neon" ]; then
  test/performance/count-under-qemu.sh "$folder" "$count"
  instruction_set=$(tail -n 1 "$folder/names")
else
  instruction_set=$(env LATTE_CPU_TARGET=AVX2 valgrind --tool=callgrind \
    --callgrind-out-file="$folder/out" -q "$count" 2>"$folder/errors") || {
    cat "$folder/errors" >&2
    exit 1
  }
fi

node test/performance/instruction-counts.mjs \
  "$folder" "$instruction_set" "$build/compiler" "$bounds" "$option"
