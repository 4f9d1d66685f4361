#!/usr/bin/env bash
# Formats every C++ file by .clang-format; with --check it only lists those that are not formatted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
options=(-i)
[ "${1:-}" != --check ] || options=(--dry-run --Werror)
find native test bench/native -type f \( -name '*.cc' -o -name '*.h' \) -print0 |
  xargs -0 --no-run-if-empty clang-format "${options[@]}"
