#!/usr/bin/env bash
# count-under-qemu.sh <folder> <program>: runs a program for AArch64 under qemu with qemu_counter.c, and
# writes what it prints into <folder>/names, and the instructions of each case into <folder>/counts.
set -euo pipefail
folder=$1 program=$2
# The version of the plugin interface that this qemu accepts: 1 before qemu 9, then 2.
major=$(qemu-aarch64 --version | sed -n 's/^qemu-aarch64 version \([0-9]*\).*/\1/p')
gcc -O2 -shared -fPIC -DQEMU_PLUGIN_VERSION=$((major < 9 ? 1 : 2)) \
  "$(dirname "${BASH_SOURCE[0]}")/qemu_counter.c" -o "$folder/counter.so"
qemu-aarch64 -L /usr/aarch64-linux-gnu -plugin "$folder/counter.so" "$program" \
  >"$folder/names" 2>"$folder/counts"
