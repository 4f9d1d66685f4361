#!/usr/bin/env bash
# The addon builds with GCC 10, the compiler of openEuler 22.03, whose C++20 is not complete: this
# lists what its library or compiler lacks, and what native/ uses instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lacking=(
  'std::bit_cast'                                      # latte::bits_as (core/bits.h)
  '\.wait\([^)]*memory_order'                          # std::atomic's: a futex (system/thread_pool.cc)
  '#include <(format|source_location|semaphore|latch|barrier|syncstream)>'
  '\busing enum\b'
  'std::(make_unique|make_shared)_for_overwrite'
  'std::(move_only_function|to_underlying|unreachable|byteswap|expected)'
  '\.contains\('                                       # of strings; C++23
)
found=0
for pattern in "${lacking[@]}"; do
  if grep -rnE --include='*.cc' --include='*.h' "^[^/]*$pattern" native; then found=1; fi
done
if [ "$found" = 1 ]; then
  echo "GCC 10 lacks the above: see $0" >&2
  exit 1
fi
echo "native/ uses nothing of the list that GCC 10 lacks"
