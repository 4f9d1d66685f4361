#!/usr/bin/env bash
# Fails if docs/api is not what `npm run docs` makes of the comments of lib/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

made=$(mktemp -d "${TMPDIR:-/tmp}/latte-docs.XXXXXX")
trap 'rm -rf "$made"' EXIT
npx --no-install typedoc --out "$made" --logLevel Warn
if ! diff -r docs/api "$made"; then
  echo 'docs/api is behind the comments of lib/: run `npm run docs`.' >&2
  exit 1
fi
