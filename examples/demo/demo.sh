#!/usr/bin/env bash
# Builds the project, makes a checkpoint with the shapes of Latte-XL, and runs the main job on it:
# from a checkpoint, a latent, captions and timesteps to the tensors that the transformer needs.
# Everything that it makes lies in demo-output/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib/setup.sh
source scripts/lib/setup.sh

latte_ensure_tools build
latte_npm_ci
latte_build

out=demo-output
checkpoint=$out/latte-xl/transformer
mkdir -p "$out"

# Prints a command as a user would type it, then runs it.
run() {
  printf '\n$ npx latte-embeddings %s\n' "$*"
  node dist/cli/main.js "$@"
}

latte_say 'A checkpoint like Latte-XL: random weights of a fixed seed, float32'
node examples/demo/make-checkpoint.mjs "$out"

latte_say 'What is in it'
run devices
run inspect "$checkpoint"

latte_say 'Two captions of 120 tokens, 20 timesteps, a latent of 16 frames with guidance'
run embed --checkpoint "$checkpoint" --latent "$out/inputs.safetensors" \
  --caption "$out/inputs.safetensors" --steps 20 -o "$out/conditions.safetensors"

latte_say 'The same in double precision, from the formulas, for a sample of entries'
node examples/demo/check.mjs "$out" "$out/conditions.safetensors"

latte_say 'Pictures'
run plot pos-embed --embed-dim 64 --grid 16x16 -o "$out/position-table.svg"
run plot timesteps -o "$out/timesteps.svg"

cat <<EOF

Done. Made in $out/:
  conditions.safetensors   what the transformer's blocks need
  position-table.svg       the sine-cosine table that tells tokens where they are
  timesteps.svg            the sinusoids that timesteps become
  latte-xl/, inputs.safetensors   the checkpoint and the inputs, kept for the next run
EOF
