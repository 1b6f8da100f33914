#!/bin/sh
# The broker wants its secret closed to everybody but itself; a mounted Secret is always open to the pod's group. So the keys
# are copied, by the broker's user, to memory. `lockstep keys revoke NAME --keys /run/lockstep/keys` in the running pod takes
# effect at once; take the entry out of the Secret lockstep-allowed as well, for the next start.
set -eu
umask 077
mkdir -p /run/lockstep/broker /run/lockstep/keys/allowed /run/lockstep/keys/revoked
cp /run/secrets/lockstep/broker/broker.key /run/lockstep/keys/broker.key
for entry in /run/secrets/lockstep/allowed/*.yaml; do
  [ ! -e "$entry" ] || cp "$entry" /run/lockstep/keys/allowed/
done
chmod 600 /run/lockstep/keys/broker.key /run/lockstep/keys/allowed/* 2>/dev/null || true
