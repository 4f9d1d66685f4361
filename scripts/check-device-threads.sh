#!/usr/bin/env bash
# The thread pool, the memory pool, the Ascend device's threads and the forwards of the binding (on
# the simulated NPUs, over a stand-in of Node-API) under ThreadSanitizer. Needs `npm run build` (the CPU's kernels are taken from there as they are) and
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
backend=(native/backend/*.cc native/backend/ascend/*.cc native/backend/ascend/{acl,kernels}/*.cc)
device_stress=("${backend[@]}" test/twin/stress/device_stress.cc)
forward_stress=(native/binding/{schedule,forward,js,environment,tensor}.cc
  test/binding/node_api_{stand_in,not_called}.cc test/binding/forward_stress.cc)
headers=$(node -p "['node-addon-api', 'node-api-headers'].map((name) => '-isystem ' + require('path').resolve(require(name).include_dir.replace(/^\"|\"$/g, ''))).join(' ')")
object_of() { echo "$out/stress/$(echo "$1" | tr / _).o"; }
compile() {
  # The headers are meant to be split into words.
  # shellcheck disable=SC2086
  "${CXX:-g++}" -std=c++20 -O1 -g -fPIC -fsanitize=thread -Inative -Itest/native -Itest/binding \
    -DNAPI_VERSION=9 -DNODE_ADDON_API_CPP_EXCEPTIONS $headers -c "$1" -o "$(object_of "$1")"
}
link() {
  local program=$1 objects=()
  shift
  for source in "${shared[@]}" "$@"; do objects+=("$(object_of "$source")"); done
  "${CXX:-g++}" -fsanitize=thread "${objects[@]}" "${extra[@]}" -ldl -pthread -o "$out/$program"
}
export -f compile object_of
export out headers
printf '%s\n' "${shared[@]}" "${system_test[@]}" "${device_stress[@]}" "${forward_stress[@]}" |
  xargs -P "$(nproc)" -I{} bash -c 'compile {}'
extra=()
link system_test "${system_test[@]}"
extra=()
for source in native/backend/cpu/{,simd/}*.cc; do extra+=("$objects/${source#native/}.o"); done
link device_stress "${device_stress[@]}"
link forward_stress "${backend[@]}" "${forward_stress[@]}"

export ASCEND_HOME_PATH=$out LATTE_ASCEND_KERNELS=off LATTE_TWIN_STRICT=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
for program in system_test forward_stress; do
  if "$out/$program" --race >"$out/race" 2>&1 || ! grep -q 'data race' "$out/race"; then
    echo "ThreadSanitizer did not report the deliberate race of $program:" >&2
    cat "$out/race" >&2
    exit 1
  fi
done
"$out/system_test"
"$out/forward_stress"
for seed in 1 2 3; do
  LATTE_TWIN_SEED=$seed "$out/device_stress"
done
