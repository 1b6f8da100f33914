#!/bin/sh
# configure-node.sh HOST: below HOST, which is the node's root, puts CRIU's hook in its place, and names it in the files that
# runc and crun hand to CRIU. What stands in them is kept; run twice it changes nothing.
set -eu
host=${1?usage: configure-node.sh HOST}
hook=/opt/lockstep/bin/lockstep-hook

# Under its name the hook is never seen half written, and one that runs is not touched.
cp "${LOCKSTEP_HOOK:-/usr/bin/lockstep-hook}" "$host$hook.new"
chmod 755 "$host$hook.new"
mv "$host$hook.new" "$host$hook"

for file in "$host/etc/criu/runc.conf" "$host/etc/criu/crun.conf"; do
  [ -e "$file" ] || : >"$file"
  if grep -E '^[[:space:]]*network-lock[[:space:]]' "$file" | grep -qvE 'network-lock[[:space:]]+skip[[:space:]]*$'; then
    echo "configure-node: $file sets network-lock to something else than skip, which would lock pods twice; remove it" >&2
    exit 1
  fi
  cp -p "$file" "$file.new"
  # A last line without its end would swallow ours.
  [ -z "$(tail -c 1 "$file.new")" ] || echo >>"$file.new"
  for line in "action-script $hook" "network-lock skip"; do
    grep -qxF "$line" "$file.new" || echo "$line" >>"$file.new"
  done
  mv "$file.new" "$file"
done
