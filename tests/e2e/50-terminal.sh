#!/usr/bin/env bash
# The terminal goes away, is too small, speaks no colour: sessions go on and nothing is left spinning.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"

# Each terminal has a tmux server of its own: one that is just ending would take the next along.
server=0
mux() { tmux -L "bg-e2e-$$-$server" -f /dev/null "$@"; }
shows() { mux capture-pane -p -t walk | grep -qF -- "$1"; }
trap 'mux kill-server 2>/dev/null || true' EXIT
inside="setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i HOME=$WORK/home-$OPERATOR"
inside="$inside PATH=$PATH TERM=screen-256color LANG=C.UTF-8 XDG_RUNTIME_DIR=$WORK/run-$OPERATOR"
terminal() {
    server=$((server + 1))
    mux new-session -d -s walk -x "${1:-80}" -y "${2:-24}" "$inside ${3:-sh}"
}

ask() { as "$OPERATOR" psql -h 127.0.0.1 -p "$1" -U ana -d postgres -Atc 'select 6 * 7'; }
screens() { pgrep -u "$OPERATOR" -fx "$BREAKGLASS"; }
no_screens() { ! screens >/dev/null; }
engines() { pgrep -n -u "$OPERATOR" -f "engine --detached"; }
open_in_screens() {
    mux send-keys -t walk "$BREAKGLASS" Enter
    sign_in_at_screens
    mux send-keys -t walk o
    until_true "o asks what to open" shows "Open a session"
    mux send-keys -t walk "127.0.0.1:$PGPORT_REAL" Enter
    sleep 0.2
    mux send-keys -t walk Enter
    sleep 0.2
    mux send-keys -t walk "INC-7" Enter
    until_true "a session is Active, hosted by the screens" shows "Active"
}
one_id() {
    bg sessions --json | python3 -c \
        "import json,sys; print(json.load(sys.stdin)['sessions'][0]['id'])"
}

become_owner
check "the engine that made the account leaves" bg engine stop
until_true "and is gone" no_engine_left

terminal
open_in_screens
port=$(port_of "$(one_id)")
mux kill-server
until_true "hang-up: the screens are gone" no_screens
until_true "an engine of its own goes on" engines
until_true "and the endpoint answers where it did" ask "$port"
bg end --all >/dev/null 2>&1
bg engine stop >/dev/null 2>&1 || true

terminal 80 24 "sh -c 'trap \"\" HUP; exec sh'"
open_in_screens
port=$(port_of "$(one_id)")
mux kill-server
until_true "under a leader that ignores hang-ups the screens are gone too" no_screens
until_true "and the endpoint answers" ask "$port"
before=$(ps -o cputimes= -p "$(engines)" | tr -d ' ')
sleep 3
after=$(ps -o cputimes= -p "$(engines)" | tr -d ' ')
[ $((after - before)) -le 1 ] || fail "the engine spins: $before s, then $after s"
ok "and nothing spins"
bg end --all >/dev/null 2>&1
bg engine stop >/dev/null 2>&1 || true

terminal
open_in_screens
port=$(port_of "$(one_id)")
kill -TERM "$(screens)"
until_true "SIGTERM: the screens leave and say what goes on" shows "goes on"
until_true "and the endpoint answers" ask "$port"
mux send-keys -t walk "clear; stty -a | grep -o ' echo '; $BREAKGLASS" Enter
sign_in_at_screens
until_true "the next screens find it" shows "Active"
kill -9 "$(screens)"
until_true "kill -9 of a face harms nobody" ask "$port"
bg end --all >/dev/null 2>&1
bg engine stop >/dev/null 2>&1 || true
mux kill-server

terminal
mux send-keys -t walk "clear; $BREAKGLASS login --email $OWNER" Enter
until_true "the command line asks for the password" shows "Password:"
type_in "$PASSWORD"
until_true "and lets the operator in" shows "signed in by password"
mux send-keys -t walk "clear; $BREAKGLASS" Enter
until_true "who signed in at a terminal is not asked again: by an engine that runs" \
    shows "Break-Glass Users"
mux send-keys -t walk q
until_true "q leaves" no_screens
bg engine stop >/dev/null 2>&1 || true
until_true "no engine is left" no_engine_left
mux send-keys -t walk "clear; $BREAKGLASS" Enter
until_true "nor by one that the screens host" shows "Break-Glass Users"
mux send-keys -t walk C-z
until_true "Ctrl-Z gives the shell back" shows "topped"
mux send-keys -t walk "fg" Enter
until_true "fg paints again" shows "Break-Glass Users"
mux resize-window -t walk -x 10 -y 3
sleep 0.3
mux resize-window -t walk -x 40 -y 10
until_true "a small window says so" shows "needs 60x16"
mux resize-window -t walk -x 100 -y 30
until_true "and all is there again when it grows" shows "Break-Glass Users"
mux send-keys -t walk q
until_true "q leaves" no_screens
mux kill-server

dumb() { E2E_TERM=dumb as "$OPERATOR" timeout 5 "$BREAKGLASS" </dev/null; }
dumb >"$WORK/dumb.txt" 2>&1 || true
if LC_ALL=C grep -q $'\033' "$WORK/dumb.txt"; then fail "an escape on a dumb terminal"; fi
ok "a dumb terminal gets plain lines"

bytes_of() {
    server=$((server + 1))
    # A new terminal may have the number of one that is gone, and with it what was left there.
    mux new-session -d -s walk -x 80 -y 24 \
        "$inside $1 sh -c 'sleep 1; $BREAKGLASS logout 2>/dev/null; exec $BREAKGLASS'"
    mux pipe-pane -t walk "cat >'$2'"
    say "  screens with $1:"
    sign_in_at_screens
    mux send-keys -t walk 1
    sleep 0.3
    mux send-keys -t walk 4
    sleep 0.3
    mux send-keys -t walk q
    sleep 0.5
    mux kill-server 2>/dev/null || true
}
bytes_of "NO_COLOR=1" "$WORK/mono.txt"
if LC_ALL=C grep -qP '\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]' "$WORK/mono.txt"; then
    fail "colour under NO_COLOR"
fi
ok "NO_COLOR: no colour is sent"
bytes_of "LC_ALL=C" "$WORK/ascii.txt"
if LC_ALL=C grep -qP '[\x80-\xff]' "$WORK/ascii.txt"; then fail "a byte above 127 in an ASCII locale"; fi
ok "LC_ALL=C: no byte above 127 is sent"
until_true "no process is left" no_engine_left
