#!/usr/bin/env bash
# A drill in a real terminal under tmux: used, got into trouble, mended by hand, and left.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
TEMPORARY=$WORK/tmp-$OPERATOR
mkdir -p "$TEMPORARY"
chown "$OPERATOR:$OPERATOR" "$TEMPORARY"

mux() { tmux -L "bg-e2e-$$" -f /dev/null "$@"; }
screen() { mux capture-pane -p -t walk; }
shows() { screen | grep -qF -- "$1"; }
shows_first() { screen | sed -n 5p | grep -qF -- "$1"; }
trap 'mux kill-server 2>/dev/null || true' EXIT

# keys KEYS...: presses them, and lets the screens take them in.
keys() {
    mux send-keys -t walk "$@"
    sleep 0.3
}

# open WORD: opens a session on the target that the word finds, with a reason.
open() {
    keys o
    until_true "o asks what to open" shows "Open a session in the DRILL"
    keys "$1"
    until_true "$1 is found" shows "1 of 28 targets"
    keys Enter
    keys "INC-42 something is wrong" Enter
}

drill_dir() { ls -d "$TEMPORARY"/breakglass-demo.*; }
joined() { as "$OPERATOR" "$BREAKGLASS" --state-dir "$(drill_dir)" "$@"; }
# is_in ID STATE: the engine says so of the newest session on a target; a message on the screen may
# have given way to the next one.
is_in() {
    joined sessions --all --json | python3 -c "
import json, sys
states = [s['state'].lower() for s in json.load(sys.stdin)['sessions'] if s['target']['id'] == sys.argv[1]]
sys.exit(states[:1] != [sys.argv[2]])" "$1" "$2"
}
nothing_left() { [ -z "$(ls -A "$TEMPORARY")" ]; }

inside="setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i HOME=$WORK/home-$OPERATOR"
inside="$inside PATH=$PATH TERM=screen-256color LANG=C.UTF-8 TMPDIR=$TEMPORARY"
mux new-session -d -s walk -x 100 -y 30 "$inside sh"
mux send-keys -t walk "$BREAKGLASS demo" Enter
until_true "the drill opens with something to see" shows "Session cache"
shows " DRILL " || fail "the header does not say that it is a drill"
until_true "a session on a tunnel becomes Active" shows "● Active"

open payments
until_true "the new session is Active" is_in harbour-payments active
until_true "and is shown so" shows "● Active ·"
id=$(joined sessions --json | python3 -c "
import json, sys
sessions = json.load(sys.stdin)['sessions']
print(next(s['id'] for s in sessions if s['target']['id'] == 'harbour-payments'))")
port=$(joined show "$id" --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['session']['endpoint']['port'])")
page() { as "$OPERATOR" curl --silent --max-time 5 "http://127.0.0.1:$port/"; }
page | grep -q "DRILL Payments status" || fail "the target does not answer through the endpoint"
ok "curl gets the page through the endpoint, and another terminal joins the drill"
keys e
keys Right Enter
until_true "it is Ended, with everything seen gone" is_in harbour-payments ended
if page >/dev/null 2>&1; then fail "curl still gets in"; fi
ok "the next curl is refused"

open stubborn
until_true "the stubborn one is Active" is_in stubborn-vault active
until_true "and is shown so" shows "● Active ·"
keys e
keys Right Enter
until_true "its removal gets stuck, and is owed" shows_first "CleanupOwed"
shows "by hand" || fail "there is no exit card"
ok "the exit card stands on the screen"
card=$(joined sessions --state cleanup-owed --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['sessions'][0]['exit_card'][0]['commands'][0])")
as "$OPERATOR" sh -c "$card" || fail "the exit card does not work: $card"
# The alarm stands over other messages until somebody hides it.
keys Escape
keys r
until_true "what the card removes is seen gone" is_in stubborn-vault ended

open lost-warehouse
until_true "a lost call is under way" shows "Activating"
keys q
until_true "q asks, because sessions live" shows "Leave the DRILL?"
keys Right Enter
until_true "it leaves and says what is left: nothing" shows "nothing of the drill is left"
check "no directory is left" nothing_left
check "no process is left" no_engine_left
