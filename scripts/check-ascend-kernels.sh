#!/usr/bin/env bash
# Compiles our kernels over the Ascend C headers of a CANN toolkit, with our model of the
# instructions beneath, runs the kernels' tests on them, and compares what we declare of ACL and
# aclnn with that toolkit's headers. Needs no NPU and none of CANN's libraries.
#
#   scripts/check-ascend-kernels.sh [toolkit folder, such as …/ascend-toolkit/8.1.RC1]
#
# Without an argument: the toolkit of ASCEND_HOME_PATH.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
toolkit=${1:-${ASCEND_HOME_PATH:-}}
if [ -z "$toolkit" ] || [ ! -d "$toolkit" ]; then
  echo "Give the folder of a CANN toolkit, or set ASCEND_HOME_PATH (found: '${toolkit}')." >&2
  exit 2
fi
toolkit=$(cd "$toolkit" && pwd)

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
arch=$(first_folder "$toolkit/$(uname -m)-linux" "$toolkit/aarch64-linux" "$toolkit/x86_64-linux" \
  "$toolkit") || true
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

build=${LATTE_CHECK_BUILD:-$root/build/check-ascend-kernels}
mkdir -p "$build"
model=$root/test/twin/model
tests=$root/test/twin/kernels
kernels=$root/native/backend/ascend/kernels
compiler=${CXX:-g++}
system=()
while IFS= read -r folder; do
  system+=(-isystem "$folder")
done < <(find "$ascendc/basic_api" "$ascendc/highlevel_api" -maxdepth 2 -type d 2>/dev/null)
system+=(-isystem "$cpu_debug" -isystem "$arch/include")

echo "Toolkit: $toolkit"
jobs=()
compile() {
  local to=$build/$1
  shift
  "$compiler" "$@" -o "$to" &
  jobs+=("$!")
  objects+=("$to")
  if [ "${#jobs[@]}" -ge 2 ]; then
    wait "${jobs[0]}"
    jobs=("${jobs[@]:1}")
  fi
}
objects=()
ours=(-std=c++20 -O1 -Wall -Wextra -ffp-contract=off "-I$root/native" -DLATTE_MODEL_REAL_HEADERS)
for source in "$model"/*.cc "$model"/real_headers/*.cc; do
  compile "model_$(basename "$source" .cc).o" "${ours[@]}" -c "$source"
done
for source in "$tests"/*.cc "$kernels"/tiling.cc "$kernels"/fused_tiling.cc \
  "$root/native/core/dtype.cc"; do
  compile "test_$(basename "$source" .cc).o" "${ours[@]}" -c "$source"
done
for source in "$kernels"/*.cpp; do
  name=$(basename "$source" .cpp)
  if [ "$name" = launchers ]; then continue; fi
  compile "kernel_$name.o" -std=c++17 -O1 -fPIC -ffp-contract=off -D__CCE_AICORE__=220 \
    -D__DAV_C220__ -D__CCE_KT_TEST__=1 -DASCENDC_CPU_DEBUG=1 -DASCENDC_DEBUG=1 \
    "${system[@]}" -include tikicpulib.h -c "$source"
done
for job in "${jobs[@]}"; do wait "$job"; done
"$compiler" "${objects[@]}" -o "$build/kernel_test"
echo "The kernels compile over its Ascend C headers."
"$build/kernel_test"

if [ -f "$root/test/twin/abi_check.cc" ]; then
  aclnn=$(find "$toolkit" -maxdepth 9 -type d -name aclnnop | head -1)
  abi=(-isystem "$arch/include")
  if [ -n "$aclnn" ]; then abi+=(-isystem "$(dirname "$aclnn")" -isystem "$aclnn"); fi
  "$compiler" -std=c++20 -Wall -Wextra "-I$root/native" "${abi[@]}" -fsyntax-only \
    "$root/test/twin/abi_check.cc"
  echo "What we declare of ACL and aclnn is what its headers declare."
else
  echo "test/twin/abi_check.cc is missing: ACL and aclnn were not compared." >&2
  exit 1
fi
