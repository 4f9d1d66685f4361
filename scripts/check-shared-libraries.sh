#!/usr/bin/env bash
# The addon may need the C and C++ runtime and nothing else, so that it loads on every machine that
# runs Node. Usage: check-shared-libraries.sh [addon]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
addon=${1:-build/Release/latte_embeddings.node}
allowed='^(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux[a-z0-9_-]*)\.so\.[0-9]+$'

dynamic=$(LC_ALL=C readelf --wide --dynamic "$addon")
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' <<<"$dynamic")
if [ -z "$needed" ]; then
  echo "$addon lists no shared library at all, which cannot be right" >&2
  exit 1
fi
if extra=$(grep -Ev "$allowed" <<<"$needed"); then
  printf '%s needs shared libraries beyond the C/C++ runtime:\n%s\n' "$addon" "$extra" >&2
  exit 1
fi
if grep -E '\((RPATH|RUNPATH)\)' <<<"$dynamic"; then
  echo "$addon carries a library path of the machine that built it" >&2
  exit 1
fi
echo "$addon needs only: $(xargs <<<"$needed")"
