#!/usr/bin/env bash
# Compares the project with a CANN toolkit, installed or merely unpacked. Needs no NPU and none of CANN's
# libraries.
#
#   scripts/check-toolkit.sh [--abi | --mutants] [toolkit folder]     default: $ASCEND_HOME_PATH
#
# First native/backend/ascend/acl/acl_api.h, our own declarations of CANN's interface, is compared with the
# toolkit's headers; --abi ends there, for an installed package has no more. Then our kernels are compiled
# over its Ascend C headers, with our model of the instructions beneath, and their tests run. --mutants also
# breaks the kernels on purpose, and fails if the tests do not notice. CXX chooses the compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
only=
case ${1:-} in --abi | --mutants)
  only=$1
  shift
  ;;
esac
toolkit=$(readlink -e "${1:-${ASCEND_HOME_PATH:-}}") || {
  echo "Give the folder of a CANN toolkit, or set ASCEND_HOME_PATH (found: '${1:-${ASCEND_HOME_PATH:-}}')." >&2
  exit 2
}

# The first of the folders, relative to the toolkit, that has the file.
folder_with() {
  local file=$1 folder
  shift
  for folder in "$@"; do
    [[ ! -e $toolkit/$folder/$file ]] || { echo "$toolkit/$folder" && return; }
  done
  echo "$0: no $file below $toolkit" >&2
  return 1
}
acl=$(folder_with acl/acl.h include aarch64-linux/include x86_64-linux/include)
operations=$(folder_with aclnnop/aclnn_mm.h include aarch64-linux/include x86_64-linux/include \
  opp/built-in/op_impl/ai_core/tbe/op_api/include)

# Functions come from tables, so none is left out. Constants are listed in the check.
missing=0
while read -r name _; do
  if ! grep -q "X($name)" test/twin/abi_check.cc; then
    echo "$0: $name is declared in acl_api.h and not compared in test/twin/abi_check.cc" >&2
    missing=1
  fi
done < <(grep -oE '\bACL_[A-Z0-9_]+ = ' native/backend/ascend/acl/acl_api.h)

# As extra system folders, so that CANN's own warnings stay its own. What is deprecated is there.
"${CXX:-g++}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Wno-error=deprecated-declarations \
  -Inative -isystem "$acl" -isystem "$operations" test/twin/abi_check.cc
[ "$missing" = 0 ]
echo "acl_api.h agrees with the headers in $acl and $operations"
[ "$only" != --abi ] || exit 0

cmake --preset kernels -DLATTE_TOOLKIT="$toolkit" </dev/null
cmake --build --preset kernels --parallel "$(nproc)" </dev/null
echo "The kernels compile over the Ascend C headers of $toolkit."
build-kernels/kernel-test/kernel_test
if [ "$only" = --mutants ]; then
  LATTE_KERNEL_TEST_BUILD=$PWD/build-kernels node_modules/.bin/vitest run --project slow test/twin/mutants
fi
