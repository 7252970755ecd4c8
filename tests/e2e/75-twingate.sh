#!/usr/bin/env bash
# A private target behind a connector of Twingate, in a site that SSH reaches; the cloud is played.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/hub.sh"
. "$(dirname "$0")/twingate.sh"
make_user "$OPERATOR"
make_user "$STRANGER"
usermod -d "$WORK/home-$OPERATOR" "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
SSH=$WORK/home-$OPERATOR/.ssh
bg() { at_jump "$OPERATOR" "$BREAKGLASS" "$@"; }
mux() { tmux -L "bg-e2e-$$" -f /dev/null "$@"; }
screen() { mux capture-pane -p -t walk; }
shows() { screen | grep -qF -- "$1"; }
tidy() {
    stop_watching
    mux kill-server 2>/dev/null || true
    # A connector that was killed by a walk that failed has not cleaned up behind it; later nobody
    # knows whose that is.
    pkill -9 -u "$OPS" 2>/dev/null || true
    find /tmp -maxdepth 1 -user "$OPS" -name 'bg-*' -exec rm -rf {} + 2>/dev/null || true
    remove_twingate
}
trap tidy EXIT

# --- The networks, the site and the targets -------------------------------------------------------

useradd --system --no-create-home --shell /bin/sh --password "*" "$OPS"
make_names
make_hub_net
in_net "$SITE" ip addr add 10.30.0.1/24 dev "$NET-bp"
in_net "$INNER" ip addr add 10.30.0.7/24 dev "$NET-pb"
start_cloud
mkdir -p "$CONFIG" "$SSH" "$WORK/sshd-site"
ssh-keygen -q -t ed25519 -N '' -C ana -f "$SSH/id_ed25519"
echo "SetEnv PATH=/usr/bin:/bin:$ROOM/site" >"$WORK/sshd-site/more"
start_sshd site "$SITE" "$SITE_ADDRESS"
cat "$SSH/id_ed25519.pub" >>"$WORK/sshd-site/authorized_keys"
in_net "$JUMP" ssh-keyscan -t ed25519 "$SITE_ADDRESS" 2>/dev/null >"$SSH/known_hosts"
own() { chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"; }
start_inner_postgres
in_net "$INNER" socat TCP-LISTEN:7000,bind=10.30.0.7,reuseaddr,fork EXEC:cat 9>&- &
disown

# site ID NETWORK RANGE: a site whose connectors are started over SSH.
site() {
    cat <<TOML
[[site]]
id = "$1"
private-ranges = ["$2"]
providers = []

[site.launcher]
kind = "ssh"
host = "$SITE_ADDRESS"
user = "$OPS"
method = "timeout"

TOML
}
cat >"$CONFIG/config.toml" <<TOML
# The operator's own words stay where they are.
[network]
ca-file = "$CA"

$(site acme 10.20.0.0/24)

$(site globex 10.30.0.0/24)

[[target]]
id = "orders-db"
site = "acme"
kind = "postgres"
address = "10.20.0.7:5432"
user = "ana"
database = "postgres"

[[target]]
id = "echo"
site = "globex"
kind = "tcp"
address = "10.30.0.7:7000"
TOML
own
chmod 700 "$SSH"

PASSPHRASE='seven green boats drift by the mole'
unlock() { bg vault unlock --passphrase-stdin <<<"$PASSPHRASE"; }
json() { python3 -c "import json,sys; it = json.load(sys.stdin); print($1)"; }
state_of() { bg show "$1" --json | field state | tr '[:upper:]' '[:lower:]'; }
is() { [ "$(state_of "$1")" = "$2" ]; }
ended_since() { is "$1" "$2" && bg show "$1" --json | field end_reason | grep -q "$3"; }
tells() { bg show "$1" | grep -qE -- "$2"; }
open_one() { bg open "$@" --reason "INC-42" --for 30m --json; }
# opened TARGET ARGS...: sets id, short and port.
opened() {
    open_one "$@" >"$WORK/open.json" || fail "it does not open: $(cat "$WORK/open.json")"
    id=$(field id <"$WORK/open.json")
    short=$(field short_id <"$WORK/open.json")
    port=$(port_of "$id")
}
query() {
    at_jump "$1" env PGCONNECT_TIMEOUT=5 \
        psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'
}
answers() { [ "$(query "$OPERATOR")" = 42 ]; }
# echoes: what is sent comes back; it reads before it hangs up, as a client does.
echoes() {
    at_jump "$OPERATOR" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && echo the same >&3 &&
        read -rt 5 line <&3 && [ \"\$line\" = 'the same' ]"
}
is_closed() { ! in_net "$JUMP" sh -c "ss -ltn | grep -q 127.0.0.1:$port"; }
no_connector() { ! pgrep -u "$OPS" -f "$TWINGATE_CLOUD connector" >/dev/null; }
nothing_left() { is_empty && no_connector; }
# within SECONDS NAME COMMAND...: until_true, for what takes longer or less long.
within() {
    local name=$2 last=$((SECONDS + $1))
    shift 2
    until "$@" >"$WORK/until.out" 2>&1; do
        [ "$SECONDS" -lt "$last" ] || fail "$name: never became true: $* $(cat "$WORK/until.out")"
    done
    ok "$name"
}

# --- Two providers --------------------------------------------------------------------------------

refuse "the private network cannot be seen from the operator's host" 2 \
    at_jump "$OPERATOR" env PGCONNECT_TIMEOUT=2 psql -h 10.20.0.7 -U ana -d postgres -c 'select 1'
become_owner
unlock >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
watch_processes
KEY=$(cloud acme key provision) GLOBEX_KEY=$(cloud globex key provision)
# add NETWORK PORT KEY ARGS...
add() {
    printf '%s\n' "$3" | bg providers add twingate "${4:-$1}" --network "$1" --group "$GROUP" \
        --data-path proxy --proxy "127.0.0.1:$2" --key-stdin
}
# Each look at a key costs two of the changes that a minute has, so most of them are in globex.
refuse "without a client on this host it is not kept" 5 add globex 9998 "$GLOBEX_KEY"
says "and it says what listens nowhere" "nothing listens at 127.0.0.1:9998"
start_client acme 9999
start_client globex 9998
refuse "a network that is none is not kept" 5 add acne 9999 "$KEY"
says "with its name" "acne"
refuse "a key that the network does not know is not kept" 5 add globex 9998 "$CANARY"
refuse "nor one that may only read" 5 add globex 9998 "$(cloud globex key read)"
says "and it says what it may not" "may not remove a connector"
check "one that may do all is" add globex 9998 "$GLOBEX_KEY"
check "and so is one of another network" add acme 9999 "$KEY"
grep -q "The operator's own words" "$CONFIG/config.toml" || fail "the comment is gone"
ok "and every comment of the file is kept"
python3 - "$CONFIG/config.toml" <<'PY'
import sys
text = open(sys.argv[1]).read()
for name in ("acme", "globex"):
    text = text.replace("providers = []", f'providers = ["{name}"]', 1)
open(sys.argv[1], "w").write(text)
PY
check "a network can be looked at" bg providers validate globex
says "though what the key may do is only likely" "likely"
check "the plan says what would be made" bg open orders-db --plan
says "with the one address" "make a resource of 10.20.0.7:5432, TCP only"
says "and who else could come" "everybody in the group"
nothing_left || fail "the plan or a look left something"
ok "and neither a plan nor a look makes anything"

# --- Opened, used, ended; and no more than a minute takes -----------------------------------------

# One whose connector will die, in the other network, while the first is busy.
opened echo
echoes || fail "no answer through globex"
ok "a session in globex carries what is sent"
dying=$id
kill -9 $(connector_of "$short")
cloud globex dead "$short"
carries_nothing() { ! echoes; }
until_true "once the connector is killed nothing is carried" carries_nothing

begun=$SECONDS
opened orders-db
ok "a session in acme opens ($((SECONDS - begun)) s)"
answers || fail "no answer through acme"
ok "psql works through the connector"
refuse "another UNIX user is refused" 2 query "$STRANGER"
until_true "the session tells how its connector does" tells "$id" 'connector: alive'
check "and that it has its hour" tells "$id" "access: group .On call., until"
check "and how much the network still takes" tells "$id" 'network: takes [0-9]+ more changes'
check "and who else could come" tells "$id" 'reachable .*in the network .acme.: everybody in the group .On call.'
[ -n "$(connector_of "$short")" ] || fail "its connector does not bear its name"
ok "its connector bears its name in the site"
check "it ends" bg end "$id" --reason done
is "$id" ended || fail "it is not Ended"
[ -z "$(left acme)" ] || fail "something is left: $(left acme)"
ok "and the cloud has nothing of it"
no_connector || fail "its connector still runs"
ok "no process of it is left in the site"
check "and its port is closed" is_closed
opened orders-db
check "a second one" answers
check "ends as well" bg end "$id"

open_one orders-db >"$WORK/third.json" 2>&1 &
opening=$!
third_id() { bg sessions --json | json "[s['id'] for s in it['sessions'] if s['target']['id'] == 'orders-db'][0]"; }
until_true "a third within the minute is taken" third_id
third=$(third_id)
until_true "and says how long it waits" tells "$third" 'waits [0-9]+ s: a network of Twingate takes 20 changes a minute'
inside="ip netns exec $JUMP setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i"
inside="$inside HOME=$WORK/home-$OPERATOR PATH=$PATH TERM=screen-256color LANG=C.UTF-8"
mux new-session -d -s walk -x 80 -y 24 "$inside XDG_RUNTIME_DIR=$WORK/run-$OPERATOR sh"
press "$BREAKGLASS" Enter
sign_in_at_screens
press 1
until_true "the Providers tab has both networks" shows "globex"
screen >"$WORK/providers.txt"
press 2
until_true "the Sessions tab has the third" shows "orders-db"
press Enter
until_true "and its detail, how long it waits" shows "waits"
screen >"$WORK/waits.txt"
mux kill-server

# Meanwhile in the other network: one connector is not heard of, and another is deleted in the console.
until_true "a session tells that its connector is not heard of" tells "$dying" 'connector: without a relay'
opened echo
cloud globex delete connector "$short"
within 90 "one that is deleted in the console ends its session" ended_since "$id" ended provider-lost
if left globex | grep -q "$short"; then fail "something is left: $(left globex)"; fi
ok "and everything of it is gone"

wait "$opening" || fail "the third does not open: $(cat "$WORK/third.json")"
id=$third short=$(field short_id <"$WORK/third.json") port=$(port_of "$third")
answers || fail "no answer through the third"
ok "then it becomes Active, and psql works through it"
[ "$(cloud acme busiest)" -le 20 ] || fail "the cloud was asked for $(cloud acme busiest) changes in a minute"
[ "$(cloud acme refused)" = 0 ] || fail "the cloud has refused $(cloud acme refused)"
ok "and no minute of the cloud had more than 20 changes"

# --- Without a key, without the API ---------------------------------------------------------------

cloud acme revoke "$KEY"
keyless=$id
refuse "with a key that was revoked it cannot end" 6 bg end "$id" --reason "no key"
says "and it says why" "does not accept the key of this provider"
is "$id" cleanupowed || fail "it is $(state_of "$id")"
KEY=$(cloud acme key provision)
new_key() { printf '%s\n' "$1" | bg providers rotate-key acme --key-stdin; }
check "a new key is taken" new_key "$KEY"
# again ID: a retry looks at once, and removes what it finds in its turn: 6 is no failure.
again() { bg retry "$1" >"$WORK/check.out" 2>&1 || [ $? = 6 ] || fail "$(cat "$WORK/check.out")"; }
again "$id" &
within 60 "a connector that is not heard of ends its session" ended_since "$dying" ended provider-lost
check "a deep look shows what a key may do" bg providers validate globex --deep
says "as it makes a connector" "a connector was made"
[ -z "$(left globex)" ] || fail "something is left: $(left globex)"
ok "and takes it away again"
within 60 "the new key has finished what the old one could not" is "$keyless" ended

opened echo
cloud globex down
echoes || fail "no answer without the API"
ok "without the API, what is open goes on"
refuse "ended without it, it owes what nobody can see gone" 6 bg end "$id"
says "and says so of each thing" "NOT PROVEN GONE           remote network bg-"
is "$id" cleanupowed || fail "it is $(state_of "$id")"
cloud globex up
again "$id" &
within 60 "once the API is back a retry finishes it" is "$id" ended
nothing_left || fail "something is left: $(left acme) $(left globex)"
ok "with nothing left"

# --- Killed ---------------------------------------------------------------------------------------

# An engine that is killed forgets what it asked for in this minute: the next would only wait.
cloud acme limits off
cloud globex limits off
# What was down is not used before somebody has seen it well: nobody waits for the next look here.
check "its provider is seen well again" bg providers validate globex
kill_engine() { pkill -9 -u "$OPERATOR" -f "engine --detached"; }
# made KIND, runs: what there is of the session that opens; its name is kept in `new`.
new_short() {
    bg sessions --json | json "[s['short_id'] for s in it['sessions'] if s['state'] == 'Activating'][0]"
}
made() { [ -n "${new:=$(new_short)}" ] && left acme | grep -q "^$1 bg-.*-$new-"; }
runs() { [ -n "${new:=$(new_short)}" ] && [ -n "$(connector_of "$new")" ]; }
opened echo
for moment in "made network" "made resource" runs; do
    new=
    open_one orders-db >"$WORK/open.json" 2>&1 &
    opening=$!
    within 30 "another is opened until it has ${moment/runs/its connector}" $moment
    kill_engine
    wait "$opening" 2>/dev/null || true
    unlock >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
    until_true "and the engine killed: the one that was Active is taken up, on its port" echoes
done
check "it ends" bg end "$id"
bg end --all >"$WORK/check.out" 2>&1 || [ $? = 6 ] || fail "$(cat "$WORK/check.out")"
# What an engine could not look at while its vault was closed, it tries less and less often.
none_live() {
    local owed
    owed=$(bg sessions --json | json "' '.join(s['id'] for s in it['sessions'])")
    for owed in $owed; do bg retry "$owed" || true; done
    [ -z "$owed" ]
}
within 240 "and those that were being opened do" none_live
nothing_left || fail "something is left: $(left acme) $(left globex)"
ok "with nothing left"

# An engine whose notes are those of yesterday knows nothing of the session.
check "the engine stops when nothing lives" bg engine stop
until_true "and no process of it is left" no_engine_left
cp -a "$STATE" "$WORK/yesterday"
unlock >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
opened orders-db
kill_engine
until_true "the engine is gone" no_engine_left
rm -rf "$STATE"
mv "$WORK/yesterday" "$STATE"
unlock >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
check "an engine that has lost its notes finds what is left" bg sweep
for what in "resource bg-" "connector bg-" "remote network bg-" "program bg-"; do
    says "the $what" "$what"
done
refuse "what may still be needed stays" 6 bg sweep --apply
[ -n "$(left acme)" ] || fail "it is gone"
check "and goes where somebody says so" bg sweep --apply --also-unexpired
nothing_left || fail "something is left: $(left acme)"
ok "with nothing left"

misfits=$(cloud acme misfits; cloud globex misfits)
[ -z "$misfits" ] || fail "what was asked does not fit the interface: $misfits"
ok "all that was asked fits the interface"
check "the audit chain holds" bg audit verify
check "the engine stops" bg engine stop
until_true "and no process is left" no_engine_left
stop_watching
nowhere "the key of a network lies nowhere in the clear" "$KEY"
