#!/bin/sh
# failing_names.sh <folder> <objects …>: lists the functions that the objects call and that
# failing_calls.cc replaces. Writes <folder>/calls, the linker's options for these functions, and
# <folder>/failing_names.inc, the functions of Node-API that failing_calls.cc does not define by hand.
set -eu
folder=$1
shift
nm -u "$@" | sed -n 's/^ *U \(napi_[a-z0-9_]*\)$/\1/p' | sort -u >"$folder/functions"
grep -Ev '^napi_(create_double|create_external_arraybuffer|.*_deferred)$' "$folder/functions" |
  sed 's/.*/LATTE_FAILING(&)/' >"$folder/failing_names.inc"
{
  cat "$folder/functions"
  printf '%s\n' _Znwm _Znam _ZnwmSt11align_val_t _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm \
    _ZdlPvSt11align_val_t _ZdlPvmSt11align_val_t mmap
} | sed 's/^/--wrap=/' >"$folder/calls"
