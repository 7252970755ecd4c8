#!/usr/bin/env bash
# The disk is full, read-only, or not ours: nothing is opened, everything ends, nothing is lost.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
STATE=$WORK/state
mkdir -p "$STATE"
mount -t tmpfs -o "size=2m,uid=$(id -u "$OPERATOR"),mode=700" tmpfs "$STATE"
trap 'bg_here end --all >/dev/null 2>&1 || true; umount -l "$STATE" 2>/dev/null || true' EXIT
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"
bg_here() { bg --state-dir "$STATE" "$@"; }
open_one() {
    bg_here open --address "127.0.0.1:$PGPORT_REAL" --kind postgres --reason "INC-8" --json
}

become_owner --state-dir "$STATE"
open_one >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
ok "a session is open on a small disk"
dd if=/dev/zero of="$STATE/filler" bs=4k 2>/dev/null || true
refuse "the disk is full: opening is refused" 5 open_one
says "and it says why" "space"
check "ending goes on" bg_here end "$id"
until_true "the endpoint is gone" sh -c \
    "! ss -ltn | grep -q ':$(python3 -c "import json;print(json.load(open('$WORK/open.json'))['session']['endpoint']['port'])") '"
rm "$STATE/filler"
ended() { [ "$(bg_here show "$id" --json | field state | tr '[:upper:]' '[:lower:]')" = ended ]; }
until_true "with space again the journal is made up" ended
check "and the audit chain holds" bg_here audit verify
check "and a session can be opened" open_one
check "and ended" bg_here end --all
until_true "the engine stops once all is written" bg_here engine stop
until_true "it has left" no_engine_left

mount -o remount,ro "$STATE"
refuse "a read-only state directory is refused" 5 open_one
says "and it says so" "ead-only"
mount -o remount,rw "$STATE"
chmod 777 "$STATE"
refuse "one that others may write to is refused" 3 open_one
says "with what to do" "chmod"
chmod 700 "$STATE"
refuse "a relative one is refused" 3 bg --state-dir state sessions
mkdir -p "$WORK/home-$OPERATOR/.config/breakglass"
echo 'durations-max = "8h"' >"$WORK/home-$OPERATOR/.config/breakglass/config.toml"
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"
refuse "an unknown key in the configuration is refused" 3 open_one
says "with file and line" "config.toml:1"
rm "$WORK/home-$OPERATOR/.config/breakglass/config.toml"

# A configuration that breaks while a session lives blocks opening, never teardown.
id=$(open_one | field id)
echo 'nonsense = 1' >"$WORK/home-$OPERATOR/.config/breakglass/config.toml"
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"
pkill -9 -u "$OPERATOR" -f "engine --detached"
refuse "after a crash with a broken configuration nothing is opened" 3 open_one
check "but what lives can be ended" bg_here end "$id"
until_true "and is seen gone" ended
rm "$WORK/home-$OPERATOR/.config/breakglass/config.toml"
bg_here engine stop >/dev/null 2>&1 || true
until_true "no process is left" no_engine_left
