#!/usr/bin/env bash
# Compiles our kernels over the Ascend C headers of a CANN toolkit, with our model of the
# instructions beneath, runs the kernels' tests on them, and compares what we declare of ACL and
# aclnn with that toolkit's headers. Needs no NPU and none of CANN's libraries.
#
#   scripts/check-ascend-kernels.sh [--mutants] [toolkit folder, such as …/ascend-toolkit/8.1.RC1]
#
# Without a folder: the toolkit of ASCEND_HOME_PATH. --mutants also breaks the kernels on purpose and
# demands that the tests notice over these headers, too. LATTE_CHECK_BUILD: where to build.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mutants=no
if [ "${1:-}" = --mutants ]; then
  mutants=yes
  shift
fi
toolkit=${1:-${ASCEND_HOME_PATH:-}}
if [ -z "$toolkit" ] || [ ! -d "$toolkit" ]; then
  echo "Give the folder of a CANN toolkit, or set ASCEND_HOME_PATH (found: '${toolkit}')." >&2
  exit 2
fi

build=${LATTE_CHECK_BUILD:-$root/build/check-ascend-kernels}
echo "Toolkit: $toolkit"
"$root/scripts/build-kernel-test.sh" "$build" "$toolkit"
echo "The kernels compile over its Ascend C headers."
"$build/kernel_test"
"$root/scripts/check-acl-abi.sh" "$toolkit"
if [ "$mutants" = yes ]; then
  cd "$root"
  LATTE_KERNEL_TEST_BUILD=$build node_modules/.bin/vitest run --project slow test/twin/mutants
fi
