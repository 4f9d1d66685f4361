#!/usr/bin/env bash
# Builds kernel_test, the program that runs our Ascend C kernels on the model of the instructions:
#
#   scripts/build-kernel-test.sh <folder> [toolkit]
#
# Without a toolkit the kernels compile over our own small Ascend C header, as in the twin; with one
# (such as …/ascend-toolkit/8.1.RC1, installed or merely unpacked) over its real headers. No NPU and
# none of CANN's libraries are needed. The folder keeps the objects, and in kernel-arguments and
# host-arguments how a kernel and the host's code are compiled, one argument a line: with them
# test/twin/mutants.test.ts builds broken ones. LATTE_SANITIZE (address,undefined) instruments it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -lt 1 ]; then
  echo "usage: $0 <folder> [toolkit folder]" >&2
  exit 2
fi
build=$1
toolkit=${2:-}
mkdir -p "$build"
model=$root/test/twin/model
tests=$root/test/twin/kernels
kernels=$root/native/backend/ascend/kernels
compiler=${CXX:-g++}

first_folder() {
  local folder
  for folder in "$@"; do
    if [ -d "$folder" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}

both=(-O1 -ffp-contract=off)
if [ -n "${LATTE_SANITIZE:-}" ]; then
  both+=(-g1 "-fsanitize=$LATTE_SANITIZE" -fno-sanitize-recover=all)
fi
ours=(-std=c++20 "${both[@]}" -Wall -Wextra "-I$root/native")
kernel=(-std=c++17 "${both[@]}")
models=("$model"/*.cc)
if [ -z "$toolkit" ]; then
  kernel+=(-Wall -Wextra "-I$root/test/twin/ascendc")
else
  toolkit=$(cd "$toolkit" && pwd)
  arch=$(first_folder "$toolkit/$(uname -m)-linux" "$toolkit/aarch64-linux" \
    "$toolkit/x86_64-linux" "$toolkit")
  ascendc=$(first_folder "$arch/ascendc/include" "$toolkit/compiler/ascendc/include" \
    "$arch/tikcpp/tikcfw") || {
    echo "$toolkit has no Ascend C headers (…/ascendc/include)." >&2
    exit 2
  }
  cpu_debug=$(first_folder "$toolkit/tools/tikicpulib/lib/include" \
    "$arch/tikicpulib/lib/include") || {
    echo "$toolkit has no CPU-debug headers (tools/tikicpulib/lib/include)." >&2
    exit 2
  }
  ours+=(-DLATTE_MODEL_REAL_HEADERS)
  models+=("$model"/real_headers/*.cc)
  # The toolkit's own CPU-debug mode, of the 910B's architecture.
  kernel+=(-fPIC -D__CCE_AICORE__=220 -D__DAV_C220__ -D__CCE_KT_TEST__=1 -DASCENDC_CPU_DEBUG=1
    -DASCENDC_DEBUG=1)
  while IFS= read -r folder; do
    kernel+=(-isystem "$folder")
  done < <(find "$ascendc/basic_api" "$ascendc/highlevel_api" -maxdepth 2 -type d 2>/dev/null)
  kernel+=(-isystem "$cpu_debug" -isystem "$arch/include" -include tikicpulib.h)
fi
printf '%s\n' "$compiler" "${kernel[@]}" >"$build/kernel-arguments"
printf '%s\n' "$compiler" "${ours[@]}" >"$build/host-arguments"

jobs=()
objects=()
compile() {
  local to=$build/$1
  shift
  "$compiler" "$@" -o "$to" &
  jobs+=("$!")
  objects+=("$to")
  if [ "${#jobs[@]}" -ge "$(nproc)" ]; then
    wait "${jobs[0]}"
    jobs=("${jobs[@]:1}")
  fi
}
rm -f "$build"/*.o
for source in "${models[@]}"; do
  compile "model_$(basename "$source" .cc).o" "${ours[@]}" -c "$source"
done
for source in "$tests"/*.cc "$kernels"/*.cc "$root/native/core/dtype.cc"; do
  compile "test_$(basename "$source" .cc).o" "${ours[@]}" -c "$source"
done
for source in "$kernels"/*.cpp; do
  name=$(basename "$source" .cpp)
  if [ "$name" = launchers ]; then continue; fi
  compile "kernel_$name.o" "${kernel[@]}" -c "$source"
done
for job in "${jobs[@]}"; do wait "$job"; done
"$compiler" "${both[@]}" "${objects[@]}" -o "$build/kernel_test"
