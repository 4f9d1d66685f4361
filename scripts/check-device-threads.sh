#!/usr/bin/env bash
# The Ascend device's threads under ThreadSanitizer, on the simulated NPUs. Needs `npm run build`
# (the CPU's kernels are taken from there as they are) and g++'s libtsan.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

objects=build/CMakeFiles/latte_embeddings.dir/native/backend/cpu
if [ ! -d "$objects" ]; then
  echo "There is no build yet: run 'npm run build' first." >&2
  exit 2
fi
out=$(LATTE_SANITIZE=thread scripts/build-twin.sh)
mkdir -p "$out/stress"
sources=(native/core/*.cc native/backend/*.cc native/backend/ascend/*.cc
  native/backend/ascend/kernels/*.cc test/twin/stress/device_stress.cc)
compile() {
  "${CXX:-g++}" -std=c++20 -O1 -g -fPIC -fsanitize=thread -Inative -c "$1" \
    -o "$out/stress/$(echo "$1" | tr / _).o"
}
export -f compile
export out
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c 'compile {}'
"${CXX:-g++}" -fsanitize=thread "$out"/stress/*.o "$objects"/*.o -ldl -pthread \
  -o "$out/device_stress"

export ASCEND_HOME_PATH=$out LATTE_ASCEND_KERNELS=off LATTE_TWIN_STRICT=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
for seed in 1 2 3; do
  LATTE_TWIN_SEED=$seed "$out/device_stress"
done
