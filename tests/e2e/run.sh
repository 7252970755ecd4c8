#!/usr/bin/env bash
# The end-to-end suite: the program as it is installed, against real peers.
#
# Needs root (it makes UNIX users of its own, to see that one cannot use another's endpoint), and
# Debian's packages postgresql, tmux, socat, python3, curl, nodejs, npm, gnome-keyring, dbus-daemon
# dbus-bin, openssh-server and iproute2, which it installs where they are missing; npm fetches an OpenID provider from its registry (tests/e2e/idp).
# It listens on loopback only and ends what it started.
#
#   tests/e2e/run.sh [WALK...]      all walks, or those named: 10-postgres, 20-screens, ...

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
top=$(cd "$here/../.." && pwd)

if [ "$(id -u)" != 0 ]; then
    say "the end-to-end suite needs root: it makes UNIX users of its own"
    exit 1
fi

missing=()
for pair in psql:postgresql-client tmux:tmux socat:socat python3:python3 setpriv:util-linux \
    pgrep:procps curl:curl node:nodejs npm:npm gnome-keyring-daemon:gnome-keyring \
    dbus-daemon:dbus-daemon dbus-send:dbus-bin ip:iproute2 ssh:openssh-client; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
if [ ${#missing[@]} -gt 0 ]; then
    say "installing: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
fi

target=${CARGO_TARGET_DIR:-$top/target}
export BREAKGLASS=${BREAKGLASS:-$target/debug/breakglass}
# What plays a network of Twingate; `cargo test` has built both already.
export TWINGATE_CLOUD=${TWINGATE_CLOUD:-$target/debug/examples/twingate-cloud}
if [ ! -x "$BREAKGLASS" ] || [ ! -x "$TWINGATE_CLOUD" ]; then
    (cd "$top" && cargo build --quiet --locked --bins --example twingate-cloud)
fi

# A place that other UNIX users may enter, and a copy of the program that they may run.
export ROOM
ROOM=$(mktemp -d /tmp/breakglass-e2e.XXXXXX)
chmod 755 "$ROOM"
install -m 755 "$BREAKGLASS" "$ROOM/breakglass"
install -m 755 "$TWINGATE_CLOUD" "$ROOM/twingate-cloud"
export BREAKGLASS=$ROOM/breakglass TWINGATE_CLOUD=$ROOM/twingate-cloud
export OPERATOR=bg-e2e-ana STRANGER=bg-e2e-bob

clean_up() {
    for pid in $(pgrep -f "$ROOM/breakglass" || true); do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "$ROOM/postgres.pid" "$ROOM/idp/pid"; do
        [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
    [ -z "${builds_peers-}" ] || pkill -P "$builds_peers" 2>/dev/null || true
    sleep 0.3
    rm -rf "$ROOM"
    userdel "$OPERATOR" 2>/dev/null || true
    userdel "$STRANGER" 2>/dev/null || true
}
trap clean_up EXIT

. "$here/postgres.sh"
start_postgres

# is_walked NAME WALK...: it is among those named, or none is.
is_walked() {
    [ $# = 1 ] || printf '%s\n' "${@:2}" | grep -qx "$1"
}

if is_walked 65-tailnet "$@"; then
    nice -n 10 bash "$here/peers.sh" >/dev/null 2>&1 &
    builds_peers=$!
fi

good=0 bad=0
for walk in "$here"/[0-9]*.sh; do
    name=$(basename "$walk" .sh)
    is_walked "$name" "$@" || continue
    say "$name: $(sed -n '2s/^# //p' "$walk")"
    export WORK=$ROOM/$name
    mkdir -p "$WORK"
    chmod 755 "$WORK"
    if bash "$walk"; then
        good=$((good + 1))
    else
        bad=$((bad + 1))
    fi
    for pid in $(pgrep -f "$ROOM/breakglass" || true); do
        kill "$pid" 2>/dev/null || true
    done
done
say "$good passed, $bad failed"
[ "$bad" = 0 ]
