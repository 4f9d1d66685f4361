#!/usr/bin/env bash
# Links the addon's objects once more, with test/binding/failing_calls.cc between them and Node-API
# and the allocator, so that a test can make each call fail. Prints the path of that addon.
#   LATTE_ADDON   the addon whose objects are taken (build/Release by default); they have to be there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

addon=${LATTE_ADDON:-$PWD/build/Release/latte_embeddings.node}
build=$(dirname "$(dirname "$addon")")
objects=()
while IFS= read -r source; do
  objects+=("$build/CMakeFiles/latte_embeddings.dir/$source.o")
done < <(find native -name '*.cc' | sort)

out=$build/failing
mkdir -p "$out"
lock=$out/lock
exec 9>"$lock"
flock 9
if [ "$out/latte_embeddings.node" -nt "$addon" ] &&
  [ "$out/latte_embeddings.node" -nt test/binding/failing_calls.cc ] &&
  [ "$out/latte_embeddings.node" -nt scripts/build-failing-addon.sh ]; then
  echo "$out/latte_embeddings.node"
  exit
fi

mapfile -t functions < <(nm -u "${objects[@]}" | sed -n 's/^ *U \(napi_[a-z0-9_]*\)$/\1/p' | sort -u)
wrap=()
for function in "${functions[@]}"; do
  wrap+=("-Wl,--wrap=$function")
  # These are written out in failing_calls.cc.
  case $function in
    napi_create_double | napi_create_external_arraybuffer | napi_*_deferred) ;;
    *) echo "LATTE_FAILING($function)" ;;
  esac
done >"$out/failing_names.inc"
for function in _Znwm _Znam _ZnwmSt11align_val_t _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm \
  _ZdlPvSt11align_val_t _ZdlPvmSt11align_val_t mmap; do
  wrap+=("-Wl,--wrap=$function")
done

# Statically, so that the library's own allocations are wrapped, too; a sanitizer needs the shared one.
library=(-static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL)
if [ "${LATTE_SANITIZER:-}" = 1 ]; then library=(-fsanitize=address,undefined); fi
"${CXX:-g++}" -std=c++20 -O1 -fPIC -Wall -Wextra -I"$out" -c test/binding/failing_calls.cc \
  -o "$out/failing_calls.o"
"${CXX:-g++}" -shared -pthread "${objects[@]}" "$out/failing_calls.o" "${wrap[@]}" "${library[@]}" \
  -Wl,-z,now -Wl,-z,nodelete -ldl -o "$out/latte_embeddings.node.new"
mv "$out/latte_embeddings.node.new" "$out/latte_embeddings.node"
echo "$out/latte_embeddings.node"
