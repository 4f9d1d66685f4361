#!/usr/bin/env bash
# Builds the addon with every compiler of the list that is installed, warnings as errors, each in a
# folder of its own (build-matrix/…), and checks which shared libraries it needs.
# Usage: build-matrix.sh [C++ compiler …]      default: g++-11 g++-12 g++-13 g++-14 g++ clang++
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || set -- g++-11 g++-12 g++-13 g++-14 g++ clang++

built=0
failed=()
versions=' '
for compiler in "$@"; do
  command -v "$compiler" >/dev/null || continue
  version=$("$compiler" --version | head -n 1)
  # g++ is usually one of the numbered compilers by another name.
  key=$("$compiler" -dumpfullversion -dumpversion)-${compiler%%[-+]*}
  case $versions in *" $key "*) continue ;; esac
  versions+="$key "
  printf '\n== %s: %s\n' "$compiler" "$version"
  folder=build-matrix/$compiler
  rm -rf "$folder"
  if node_modules/.bin/cmake-js build --out "$folder" --parallel "$(nproc)" \
    --cxx "$compiler" --cc "$(sed 's/clang++/clang/; s/g++/gcc/' <<<"$compiler")" \
    --CDLATTE_WERROR=ON </dev/null &&
    scripts/check-shared-libraries.sh "$folder/Release/latte_embeddings.node"; then
    built=$((built + 1))
  else
    failed+=("$compiler")
  fi
done

printf '\n%d built, %d failed%s\n' "$built" "${#failed[@]}" "${failed[*]:+: ${failed[*]}}"
[ "$built" -gt 0 ] && [ "${#failed[@]}" -eq 0 ]
