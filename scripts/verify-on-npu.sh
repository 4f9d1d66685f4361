#!/usr/bin/env bash
# For someone with an Ascend NPU: runs what can be verified only there, and writes one JSON file to
# send back.
#
#   scripts/verify-on-npu.sh [--no-build] [--quick] [-o latte-on-npu.json]
#
#   --no-build   uses the addon, the JavaScript and the plugin that are there
#   --quick      runs only golden data and small layers, to try this script
#
# From a checkout, or from an installed package (node_modules/latte-embeddings/scripts/verify-on-npu.sh),
# which has no tests: there it runs the doctor, the timings and the comparison of headers.
# Source CANN's set_env.sh first. One NPU is enough: the first one, unless ASCEND_RT_VISIBLE_DEVICES
# names others. The addon is LATTE_ADDON, else prebuilds/, else build/Release; it is built only if
# there is none. Missing tools are listed at the beginning and in the file, and the rest runs.
# Needs bash, coreutils and grep. Exit status 0: all is right; 1: the file shows what is wrong.
set -uo pipefail
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
# shellcheck source=scripts/lib/setup.sh
source scripts/lib/setup.sh

build=yes
output=latte-on-npu.json
# An installed package lacks the tests, and with them what builds a checkout.
checkout=no
[ ! -d test/parity ] || checkout=yes
arguments=()
usage() {
  echo "usage: $0 [--no-build] [--quick] [-o file]" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --no-build) build=no ;;
    --quick) arguments+=(--quick) ;;
    -o)
      [ $# -ge 2 ] || usage
      output=$2
      shift
      ;;
    *) usage ;;
  esac
  shift
done

case $output in
  /*) ;;
  *) output=$from/$output ;;
esac

gaps=()
# gap WHAT FOR FIX: records that WHAT is missing, for which part, and how to get it.
gap() { gaps+=("$1, for $2: $3"); }

find_addon() {
  local arch=x64 file
  if [ "$(uname -m)" = aarch64 ]; then arch=arm64; fi
  for file in "${LATTE_ADDON:-}" prebuilds/linux-$arch/*.node build/Release/latte_embeddings.node; do
    if [ -f "$file" ]; then
      (cd "$(dirname "$file")" && echo "$PWD/$(basename "$file")")
      return
    fi
  done
}

check_needs() {
  local addon=$1
  _latte_node_serves ||
    gap 'Node.js 20.19 or newer' 'everything' 'https://nodejs.org, or a copied node binary on PATH'
  if [ -n "${LATTE_ADDON:-}" ] && [ ! -f "$LATTE_ADDON" ]; then
    gap "the addon $LATTE_ADDON" 'everything' 'correct LATTE_ADDON, or unset it'
  fi
  if [ "$checkout" = no ]; then
    gap 'a checkout of the project' 'the parity table' 'run this script of a checkout, too'
  elif [ ! -e node_modules/vitest ]; then
    if [ "$build" = no ] || ! _latte_has npm; then
      gap 'the npm dependencies' 'the parity table' 'npm ci, or copy node_modules from another host'
    fi
  fi
  if [ ! -e dist/cli/main.js ] && { [ "$build" = no ] || ! _latte_has npm; }; then
    gap 'dist/' 'everything' 'npm run build:ts, or copy dist from another host'
  fi
  if [ -z "${ASCEND_HOME_PATH:-}" ]; then
    gap 'ASCEND_HOME_PATH' 'the NPU' 'source /usr/local/Ascend/cann/set_env.sh or …/ascend-toolkit/set_env.sh'
  elif [ ! -d "$ASCEND_HOME_PATH" ]; then
    gap "the folder $ASCEND_HOME_PATH" 'the NPU' 'correct ASCEND_HOME_PATH: source set_env.sh'
  fi
  if [ -z "$addon" ]; then
    local missing
    missing=$(_latte_words "$(_latte_missing "$(_latte_manager)" build)")
    if [ "$build" = no ]; then
      gap 'an addon' 'everything' 'set LATTE_ADDON, or leave out --no-build'
    elif [ -n "$missing" ]; then
      gap "$missing" 'building the addon' 'install them, or bring an addon: LATTE_ADDON=<file>'
    fi
  fi
  if [ -n "${LATTE_ASCEND_KERNELS:-}" ] && [ "$LATTE_ASCEND_KERNELS" != off ] &&
    [ ! -f "$LATTE_ASCEND_KERNELS" ]; then
    gap "the kernels plugin $LATTE_ASCEND_KERNELS" 'our kernels' 'correct LATTE_ASCEND_KERNELS, or unset it to have one built'
  fi
  if [ "$build" = yes ] && [ -z "${LATTE_ASCEND_KERNELS:-}" ]; then
    local tool
    for tool in cmake make python3; do
      _latte_has "$tool" || gap "$tool" 'the kernels plugin' 'install it'
    done
    _latte_has_compiler || gap 'a C++ compiler' 'the kernels plugin' 'install g++ (gcc-c++)'
  fi
}

addon=$(find_addon)
check_needs "$addon"
if [ ${#gaps[@]} -gt 0 ]; then
  latte_say 'Missing; the rest runs'
  printf '  %s\n' "${gaps[@]}"
fi

# run_step NAME COMMAND …: sets outcome, for the report: 'done', or the end of the output.
run_step() {
  local log name=$1
  shift
  latte_say "$name"
  log=$(mktemp)
  if "$@" </dev/null >"$log" 2>&1; then outcome='done'; else outcome=$(tail -n 40 "$log"); fi
  tail -n 3 "$log"
  rm -f "$log"
}

export LATTE_VERIFY_ADDON_BUILD='not tried' LATTE_VERIFY_PLUGIN_BUILD='not tried'
if [ "$build" = yes ]; then
  if [ "$checkout" = yes ] && [ ! -e node_modules/vitest ] && _latte_has npm; then
    run_step 'Installing the npm dependencies' npm ci --ignore-scripts --no-audit --no-fund
    [ "$outcome" = 'done' ] || gap 'the npm dependencies' 'the parity table' "npm ci failed: $outcome"
  fi
  if [ "$checkout" = yes ] && [ -e node_modules/.bin/tsc ]; then
    run_step 'Building the JavaScript' npm run --silent build:ts
    [ "$outcome" = 'done' ] || gap 'the JavaScript' 'everything' "its build failed: $outcome"
  fi
  if [ -z "$addon" ] && [ "$checkout" = yes ]; then
    run_step 'Building the addon' _latte_build_addon OFF
    LATTE_VERIFY_ADDON_BUILD=$outcome
    addon=$(find_addon)
  fi
fi
if [ -n "$addon" ]; then export LATTE_ADDON=$addon; fi
if [ "$build" = yes ] && [ -z "${LATTE_ASCEND_KERNELS:-}" ] && [ -n "${ASCEND_HOME_PATH:-}" ]; then
  run_step 'Building the kernels plugin' scripts/build-ascend-kernels.sh
  LATTE_VERIFY_PLUGIN_BUILD=$outcome
fi

export ASCEND_RT_VISIBLE_DEVICES=${ASCEND_RT_VISIBLE_DEVICES:-0}
LATTE_VERIFY_GAPS=$(printf '%s\n\n' "${gaps[@]+"${gaps[@]}"}")
export LATTE_VERIFY_GAPS
status=1
if _latte_node_serves; then
  node scripts/verify/verify.mjs ${arguments[@]+"${arguments[@]}"} --output "$output"
  status=$?
else
  # Without Node.js the file has only what is missing.
  printf '{ "format": 2, "allRight": false, "gaps": "Node.js 20.19 or newer", "system": "%s" }\n' \
    "$(uname -srm)" >"$output"
fi
echo "Please attach $output to an issue of this project, whatever it says."
exit $status
