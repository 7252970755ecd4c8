#!/usr/bin/env bash
# kill -9 in the middle, hang-up, hand-over, and two at once: sessions go on or are taken up.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
mkdir -p "$WORK/home-$OPERATOR"
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"

open_one() {
    bg open --address "127.0.0.1:$PGPORT_REAL" --kind postgres --reason "INC-9" --for 30m --json
}
engine_pid() { bg engine status --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['engine']['pid'])"; }
ask() { as "$OPERATOR" psql -h 127.0.0.1 -p "$1" -U ana -d postgres -Atc 'select 6 * 7'; }

active() { [ "$(bg show "$1" --json | field state | tr '[:upper:]' '[:lower:]')" = active ]; }

become_owner
id=$(open_one | field id)
port=$(port_of "$id")
ends=$(bg show "$id" --json | field lease_ends_at)
for round in 1 2 3; do
    kill -9 "$(engine_pid)"
    bg sessions >/dev/null
    until_true "after kill -9 number $round it is adopted, and answers on its port" ask "$port"
done
active "$id" || fail "it is not Active"
now=$(bg show "$id" --json | field lease_ends_at)
[ "${ends%.*}" = "${now%.*}" ] || fail "the lease moved from $ends to $now"
ok "and the lease ends when it did"

kill -9 "$(engine_pid)"
nc_pid=
socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" SYSTEM:cat &
nc_pid=$!
until_true "somebody else takes the port" sh -c "ss -ltn | grep -q 127.0.0.1:$port"
bg sessions >/dev/null
moved() { p=$(port_of "$id") && [ "$p" != "$port" ] && ask "$p"; }
until_true "then the endpoint moves to another port" moved
kill "$nc_pid" 2>/dev/null || true
bg end "$id" >/dev/null

# Kills while sessions open, at random moments: each is then Active or Ended, never in between.
for round in 1 2 3 4 5 6; do
    open_one >/dev/null 2>&1 &
    opening=$!
    python3 -c "import random,time; time.sleep(random.random() * 0.08)"
    pkill -9 -u "$OPERATOR" -f "engine --detached" || true
    wait "$opening" || true
done
bg sessions >/dev/null
settled() {
    bg sessions --all --json | python3 -c "
import json, sys
states = {s['state'].lower() for s in json.load(sys.stdin)['sessions']}
sys.exit(0 if states <= {'active', 'ended'} else 1)"
}
until_true "after kills at random moments every session is Active or Ended" settled
check "all of them can be ended" bg end --all
check "the audit chain holds" bg audit verify

# Two at once are one.
pids=()
for n in 1 2 3 4 5; do
    bg sessions >/dev/null &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of five at once failed"; done
one_engine() { [ "$(pgrep -u "$OPERATOR" -fc 'engine --detached')" -le 1 ]; }
until_true "five verbs at once start one engine" one_engine

# The engine's socket goes away (logind clears runtime directories): nobody is told that nothing lives.
id=$(open_one | field id)
port=$(port_of "$id")
pid=$(engine_pid)
rm -rf "$WORK/run-$OPERATOR/breakglass"
refuse "an engine that cannot be spoken to is no absent engine" 5 bg engine status
says "and its process is named" "kill $pid"
kill "$pid"
until_true "the engine has left" no_engine_left
refuse "the sign-in of the terminal went with its directory" 4 bg sessions
until_true "yet the session is taken up, on its port" ask "$port"
sign_in "$OWNER" "$PASSWORD" >/dev/null 2>&1 || fail "nobody can sign in again"
ok "the operator signs in again"
check "and can be ended" bg end "$id"

# A newer database and a damaged one are refused and left as they are.
bg engine stop >/dev/null 2>&1 || true
until_true "the engine has left" no_engine_left
db=$(ls "$STATE"/*.db 2>/dev/null | head -n 1)
[ -n "$db" ] || db=$(ls "$STATE"/*.sqlite* | head -n 1)
cp "$db" "$WORK/good"
printf 'not a database, and somebody may want to look at it' >"$db"
before=$(sha256sum <"$db")
refuse "a damaged database is refused" 5 bg sessions
says "and it says so" "damaged"
[ "$(sha256sum <"$db")" = "$before" ] || fail "it was overwritten"
ok "and it is left as it was"
cp "$WORK/good" "$db"
check "with the good one back, everything is there" bg sessions --all
