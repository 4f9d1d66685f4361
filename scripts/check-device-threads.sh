#!/usr/bin/env bash
# The thread pool, the memory pool and the Ascend device's threads (on the simulated NPUs) under
# ThreadSanitizer. Needs `npm run build` (the CPU's kernels are taken from there as they are) and
# g++'s libtsan. A deliberate race comes first: if it is not reported, nothing else means anything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

objects=build/CMakeFiles/latte_embeddings.dir/native
if [ ! -d "$objects" ]; then
  echo "There is no build yet: run 'npm run build' first." >&2
  exit 2
fi
out=$(LATTE_SANITIZE=thread scripts/build-twin.sh)
mkdir -p "$out/stress"
shared=(native/core/*.cc native/system/*.cc)
system_test=(test/native/*.cc test/native/system/*.cc)
device_stress=(native/backend/*.cc native/backend/ascend/*.cc native/backend/ascend/kernels/*.cc
  test/twin/stress/device_stress.cc)
object_of() { echo "$out/stress/$(echo "$1" | tr / _).o"; }
compile() {
  "${CXX:-g++}" -std=c++20 -O1 -g -fPIC -fsanitize=thread -Inative -Itest/native -c "$1" \
    -o "$(object_of "$1")"
}
link() {
  local program=$1 objects=()
  shift
  for source in "${shared[@]}" "$@"; do objects+=("$(object_of "$source")"); done
  "${CXX:-g++}" -fsanitize=thread "${objects[@]}" "${extra[@]}" -ldl -pthread -o "$out/$program"
}
export -f compile object_of
export out
printf '%s\n' "${shared[@]}" "${system_test[@]}" "${device_stress[@]}" |
  xargs -P "$(nproc)" -I{} bash -c 'compile {}'
extra=()
link system_test "${system_test[@]}"
extra=("$objects"/backend/cpu/*.o)
link device_stress "${device_stress[@]}"

export ASCEND_HOME_PATH=$out LATTE_ASCEND_KERNELS=off LATTE_TWIN_STRICT=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
if "$out/system_test" --race >"$out/race" 2>&1 || ! grep -q 'data race' "$out/race"; then
  echo 'ThreadSanitizer did not report a deliberate race:' >&2
  cat "$out/race" >&2
  exit 1
fi
"$out/system_test"
for seed in 1 2 3; do
  LATTE_TWIN_SEED=$seed "$out/device_stress"
done
