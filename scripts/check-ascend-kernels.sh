#!/usr/bin/env bash
# Compiles our kernels over the Ascend C headers of a CANN toolkit, with our model of the
# instructions beneath, runs the kernels' tests on them, and compares what we declare of ACL and
# aclnn with that toolkit's headers. Needs no NPU and none of CANN's libraries.
#
#   scripts/check-ascend-kernels.sh [--mutants] [toolkit folder, such as …/ascend-toolkit/8.1.RC1]
#
# Without a folder: the toolkit of ASCEND_HOME_PATH. --mutants also breaks the kernels on purpose and
# demands that the tests notice over these headers, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mutants=no
if [ "${1:-}" = --mutants ]; then
  mutants=yes
  shift
fi
toolkit=$(readlink -e "${1:-${ASCEND_HOME_PATH:-}}") || {
  echo "Give the folder of a CANN toolkit, or set ASCEND_HOME_PATH (found: '${1:-${ASCEND_HOME_PATH:-}}')." >&2
  exit 2
}

build=$PWD/build-kernels
echo "Toolkit: $toolkit"
cmake --preset kernels -DLATTE_TOOLKIT="$toolkit" </dev/null
cmake --build --preset kernels --parallel "$(nproc)" </dev/null
echo "The kernels compile over its Ascend C headers."
"$build/kernel-test/kernel_test"
scripts/check-acl-abi.sh "$toolkit"
if [ "$mutants" = yes ]; then
  LATTE_KERNEL_TEST_BUILD=$build node_modules/.bin/vitest run --project slow test/twin/mutants
fi
