#!/usr/bin/env bash
# clang-tidy over the native sources, by .clang-tidy. Arguments: files; default: all of native/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# A folder of its own, configured but never built, for the list of compile commands.
cmake --preset tidy </dev/null >/dev/null
files=("$@")
if [ $# -eq 0 ]; then
  # Reading the headers takes most of the time, so all sources of a folder are read as one file. What is
  # local to a source therefore needs a name that its folder has once.
  mkdir -p build-tidy/folders
  while read -r folder; do
    files+=("build-tidy/folders/${folder//\//-}.cc")
    printf '#include "%s"  // NOLINT\n' "$PWD/$folder"/*.cc >"${files[-1]}"
  done < <(find native -name '*.cc' -printf '%h\n' | sort -u)
fi
# The kernels of one instruction set are enough: the others come from the same text. clang-tidy counts
# what it suppressed in system headers on standard error, thousands a file: only that is dropped.
printf '%s\0' "${files[@]}" |
  xargs -0 --no-run-if-empty -n 1 -P "$(nproc)" clang-tidy --quiet -p build-tidy \
    --extra-arg=-DHWY_COMPILE_ONLY_STATIC 2> >(grep -Ev '^[0-9]+ warnings? generated' >&2)
