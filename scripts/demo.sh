#!/usr/bin/env bash
# The demo, examples/demo/demo.sh, by the name that README.md gives it.
exec "$(dirname "${BASH_SOURCE[0]}")/../examples/demo/demo.sh" "$@"
