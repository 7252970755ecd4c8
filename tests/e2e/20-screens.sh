#!/usr/bin/env bash
# The same session from the screens, in a real terminal under tmux, handed over and taken back.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
mkdir -p "$CONFIG"
cat >"$CONFIG/config.toml" <<TOML
[[target]]
id = "orders-db"
kind = "postgres"
address = "127.0.0.1:$PGPORT_REAL"
user = "ana"
database = "postgres"
TOML
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"

mux() { tmux -L "bg-e2e-$$" -f /dev/null "$@"; }
screen() { mux capture-pane -p -t walk; }
shows() { screen | grep -qF -- "$1"; }
trap 'mux kill-server 2>/dev/null || true' EXIT

inside="setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i HOME=$WORK/home-$OPERATOR"
inside="$inside PATH=$PATH TERM=screen-256color LANG=C.UTF-8 XDG_RUNTIME_DIR=$WORK/run-$OPERATOR"
mux new-session -d -s walk -x 100 -y 30 "$inside sh"
mux send-keys -t walk "$BREAKGLASS" Enter
until_true "the first start asks who the Owner is" shows "First start, step 1 of 3"
type_in "$OWNER"
until_true "and for a password" shows "First start, step 2 of 3"
type_in "$PASSWORD"
type_in "$PASSWORD"
until_true "and says what an Owner is" shows "Step 3 of 3: you are the Owner"
mux send-keys -t walk Enter
until_true "the screens open on the Sessions tab" shows "No session yet"
sign_in "$OWNER" "$PASSWORD" >/dev/null 2>&1 || fail "another face cannot sign in"
ok "another face signs in for itself"
mux send-keys -t walk o
until_true "o asks what to open" shows "orders-db"
mux send-keys -t walk orders Enter
mux send-keys -t walk "INC-42 slow queries" Enter
sleep 0.3
shows "Active" || mux send-keys -t walk Enter
until_true "the session is Active" shows "Active"
id=$(bg sessions --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['sessions'][0]['id'])")
port=$(port_of "$id")
ask() {
    as "$OPERATOR" psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'
}
[ "$(ask)" = 42 ] || fail "no answer through the endpoint"
ok "psql works, and a second face sees the same engine"

mux send-keys -t walk Escape
sleep 0.3
mux send-keys -t walk q
until_true "q asks, because a session lives" shows "hand over"
screen >"$WORK/quit.txt"
mux send-keys -t walk Right Enter
until_true "the screens leave and say that the session goes on" shows "in the background"
[ "$(ask)" = 42 ] || fail "the endpoint did not survive the hand-over"
ok "the endpoint is where it was, in another process"
mux send-keys -t walk "$BREAKGLASS" Enter
sign_in_at_screens
until_true "the screens come back to it" shows "Active"
mux send-keys -t walk e
until_true "e asks before it ends" shows "end the session"
mux send-keys -t walk Right Enter
until_true "it is Ended" shows "Ended"
if ask >/dev/null 2>&1; then fail "psql still gets in"; fi
ok "the next psql is refused"
mux send-keys -t walk Escape
sleep 0.3
mux send-keys -t walk q
until_true "q leaves at once when nothing lives" shows '$'
check "the audit chain holds" bg audit verify
