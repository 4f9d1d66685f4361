#!/usr/bin/env bash
# Runs a command with the simulated CANN installation in place of a real one: twin.sh <command …>.
# Builds it in build/twin first if a source is newer; the addon comes from `npm run build`.
# The environment chooses what it simulates:
#   LATTE_ASCEND_KERNELS  off: without the kernels plugin (default: the twin's own)
#   LATTE_TWIN_SOC        Ascend910B3 (default), Ascend910A …
#   LATTE_TWIN_DEVICES    the number of NPUs (2)
#   LATTE_TWIN_OPEN_MS    milliseconds that the first opening of a device takes (0)
#   LATTE_TWIN_KERNEL_PACKAGE  561112 or 561003: operators fail as without their kernel package
#   LATTE_TWIN_MEMORY     bytes of each NPU's memory (2 GiB)
#   LATTE_TWIN_SEED       seed of the random delays on streams (1); LATTE_TWIN_DELAY: the longest in µs
#   LATTE_TWIN_LAUNCH_US  microseconds that each launch takes, asleep, beside its computation (0)
#   LATTE_TWIN_STOP_MODE  0: streams cannot stop on failure (aclrtSetStreamFailureMode: 207000)
#   LATTE_TWIN_CAPTURE    0: streams cannot be captured (207000); differs: replays leave out a task
#   LATTE_TWIN_KERNEL_FAULT  <kernel>:<fault>[:binary|:functions] breaks a kernel of the plugin, such
#                         as latte_patchify; faults: hang, fail, nothing (no output), differ
#   LATTE_TWIN_UNREGISTERED  1: the plugin's launch functions launch nothing, and report success
#   LATTE_TWIN_CORES      cube cores of each (910B3: 20); LATTE_TWIN_L2: bytes of its L2 cache
#   LATTE_TWIN_COUNT      a function of CANN: stderr gets its number of calls when the process ends
#   LATTE_TWIN_STRICT     0: breaking a rule does not fail the process
#   LATTE_TWIN            the folder of a twin that was built elsewhere (build/twin)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

twin=${LATTE_TWIN:-$root/build/twin}
if [ -z "${LATTE_TWIN:-}" ]; then
  built=$twin/built
  sources=("$root"/test/{CMakeLists.txt,twin} "$root"/native/{core,backend/ascend})
  if [ ! -e "$built" ] || [ -n "$(find "${sources[@]}" -newer "$built" -print -quit)" ]; then
    [ -e "$root/build/CMakeCache.txt" ] || { echo "There is no build yet: run 'npm run build' first." >&2 && exit 2; }
    mkdir -p "$twin"
    touch "$built.new"
    flock "$root/build" cmake --build "$root/build" --target twin --parallel "$(nproc)" </dev/null >&2
    mv "$built.new" "$built"
  fi
fi
export ASCEND_HOME_PATH=$twin
export LATTE_ASCEND_KERNELS=${LATTE_ASCEND_KERNELS:-$twin/lib64/liblatte_ascend_kernels.so}
export LATTE_TWIN_STRICT=${LATTE_TWIN_STRICT:-1}
exec "$@"
