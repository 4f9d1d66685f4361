#!/usr/bin/env bash
# Counts system calls and context switches of one small forward on the CPU, for several ways to call it
# and sizes of the thread pool. Needs `npm run build` and strace. Two runs that differ only in the
# number of forwards are subtracted from each other, so that only the forwards' own calls remain.
#
#   count-system-calls.sh [--check] [<threads> …]     default: 2 8 32
#
# Columns, for each forward: futex calls that wake and that wait, sched_yield, sched_setaffinity, all
# system calls of the process, and voluntary context switches of the helpers and of the other threads
# (counted without strace, which changes them). --check fails if a forward wakes more threads than the
# helpers that its loops ask for, and their callers, or sets an affinity where the pool has more threads
# than the machine cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

check=''
if [ "${1:-}" = --check ]; then
  check=yes
  shift
fi
sizes=("${@:-2}")
[ $# -gt 0 ] || sizes=(2 8 32)
few=400 many=2400
folder=$(mktemp -d "${TMPDIR:-/tmp}/latte-system-calls.XXXXXX")
trap 'rm -rf "$folder"' EXIT

for threads in "${sizes[@]}"; do
  export LATTE_NUM_THREADS=$threads
  for way in sync async alternating workers; do
    for forwards in $few $many; do
      strace -f -qq -o "$folder/$threads-$way-$forwards.calls" \
        node test/performance/forward-loop.mjs "$way" "$forwards" >/dev/null
      node test/performance/forward-loop.mjs "$way" "$forwards" \
        >"$folder/$threads-$way-$forwards.switches"
    done
  done
done
node test/performance/system-calls.mjs "$folder" "$few" "$many" "$check"
