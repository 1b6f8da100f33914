#!/usr/bin/env bash
# units_test.sh: systemd's own reader understands deploy/systemd, and the hardening is not less than it was.
set -euo pipefail
# shellcheck source=../../../deploy/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../deploy/lib.sh"

if ! command -v systemd-analyze >/dev/null; then
  say "skipped: no systemd-analyze here"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check UNIT EXPOSURE: in tenths of what `systemd-analyze security` prints; the lower the better.
check() {
  local unit=$1 limit=$2 file=$LOCKSTEP_SOURCE/deploy/systemd/$1
  # Programs that are not installed here stand in for: a unit whose program is missing does not pass.
  sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' "$file" >"$work/$unit"
  # What it does not know it only warns of.
  systemd-analyze verify --man=no "$work/$unit" >"$work/said" 2>&1 || die "$unit: $(<"$work/said")"
  ! grep -F "$unit" "$work/said" >&2 || die "$unit: see above"
  systemd-analyze security --offline=true --threshold="$limit" "$work/$unit" >"$work/said" 2>&1 ||
    die "$unit: less hardened than it was: $(tail -n 1 "$work/said")"
}

check lockstep-broker.service 25
check lockstep-agent.service 45
