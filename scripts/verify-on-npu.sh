#!/usr/bin/env bash
# For someone with an Ascend NPU: builds the addon and the kernels plugin, runs what can be verified
# only there, and writes one JSON file to send back.
#
#   scripts/verify-on-npu.sh [--no-build] [--quick] [-o latte-on-npu.json]
#
#   --no-build   takes the addon, the JavaScript and the plugin as they are
#   --quick      golden data and small layers alone: a trial of this script
#
# Source CANN's set_env.sh first. One NPU is enough: the first one, unless ASCEND_RT_VISIBLE_DEVICES
# names others. Exit status 0: all is right; 1: the file says what is not; 2: nothing could be run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/setup.sh
source scripts/lib/setup.sh

build=yes
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --no-build) build=no ;;
    --quick) arguments+=(--quick) ;;
    -o)
      if [ $# -lt 2 ]; then
        echo "usage: $0 [--no-build] [--quick] [-o file]" >&2
        exit 2
      fi
      arguments+=(--output "$2")
      shift
      ;;
    *)
      echo "usage: $0 [--no-build] [--quick] [-o file]" >&2
      exit 2
      ;;
  esac
  shift
done

export ASCEND_RT_VISIBLE_DEVICES=${ASCEND_RT_VISIBLE_DEVICES:-0}
# What becomes of the plugin and of the comparison with the headers is part of the report.
export LATTE_VERIFY_PLUGIN_BUILD='not tried'
if [ "$build" = yes ]; then
  latte_ensure_tools build
  latte_npm_ci
  latte_build
  if [ -z "${LATTE_ASCEND_KERNELS:-}" ]; then
    latte_say 'Building the kernels plugin'
    log=$(mktemp "${TMPDIR:-/tmp}/latte-kernels.XXXXXX")
    if scripts/build-ascend-kernels.sh </dev/null >"$log" 2>&1; then
      LATTE_VERIFY_PLUGIN_BUILD=built
    else
      LATTE_VERIFY_PLUGIN_BUILD=$(tail -n 40 "$log")
    fi
    tail -n 3 "$log"
    rm -f "$log"
  fi
fi
if [ ! -e dist/cli/main.js ]; then
  echo "There is no build: run $0 without --no-build." >&2
  exit 2
fi
exec node scripts/verify/verify.mjs "${arguments[@]}"
