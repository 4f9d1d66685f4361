#!/usr/bin/env bash
# Compares native/backend/ascend/acl/acl_api.h, our own declarations of CANN's interface, with the
# headers of an installed (or merely unpacked) toolkit:
#
#   scripts/check-acl-abi.sh [toolkit folder]     default: $ASCEND_HOME_PATH
#
# CXX chooses the compiler; LATTE_ACL_API a folder whose backend/ascend/acl/acl_api.h is taken instead.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
toolkit="${1:-${ASCEND_HOME_PATH:-}}"
sources="${LATTE_ACL_API:-$root/native}"
check="$root/test/twin/abi_check.cc"
if [[ -z $toolkit ]]; then
  echo "usage: $0 <toolkit folder>, such as /usr/local/Ascend/ascend-toolkit/latest" >&2
  exit 2
fi

# The first of the folders, relative to the toolkit, that has the file.
folder_with() {
  local file=$1 folder
  shift
  for folder in "$@"; do
    if [[ -e $toolkit/$folder/$file ]]; then
      echo "$toolkit/$folder"
      return
    fi
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
  if ! grep -q "X($name)" "$check"; then
    echo "$0: $name is declared in acl_api.h and not compared in $check" >&2
    missing=1
  fi
done < <(grep -oE '\bACL_[A-Z0-9_]+ = ' "$sources/backend/ascend/acl/acl_api.h")

# As extra system folders, so that CANN's own warnings stay its own. What is deprecated is there.
"${CXX:-g++}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Wno-error=deprecated-declarations \
  -I"$sources" \
  -isystem "$acl" -isystem "$operations" "$check"
[[ $missing == 0 ]]
echo "acl_api.h agrees with the headers in $acl and $operations"
