#!/usr/bin/env bash
# The simulated CANN installation of test/twin, built into build-twin: its lib64 has the libraries,
# the kernels plugin and the tests' side of it. LATTE_SANITIZE (address,undefined or thread)
# instruments it, in a folder of its own (build-twin-address …). Prints the folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=build-twin${LATTE_SANITIZE:+-${LATTE_SANITIZE%%,*}}
{
  cmake -S test/twin -B "$out" -DLATTE_SANITIZE="${LATTE_SANITIZE:-}" -DLATTE_WERROR=ON
  cmake --build "$out" --parallel "$(nproc)"
} </dev/null >&2
echo "$PWD/$out"
