#!/usr/bin/env bash
# A private target behind a router that joins a real tailnet, in a site that SSH reaches.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
. "$(dirname "$0")/hub.sh"
. "$(dirname "$0")/tailnet.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
make_user "$OPERATOR"
make_user "$STRANGER"
usermod -d "$WORK/home-$OPERATOR" "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
SSH=$WORK/home-$OPERATOR/.ssh
RUN=$WORK/run-$OPERATOR/breakglass
bg() { at_jump "$OPERATOR" "$BREAKGLASS" "$@"; }
tidy() {
    stop_watching
    # A router that was killed by a walk that failed has not cleaned up behind it; later nobody knows
    # whose that is.
    pkill -9 -u "$OPS" 2>/dev/null || true
    find /tmp -maxdepth 1 -user "$OPS" \( -name 'bg-*' -o -name 'ts.*' \) -exec rm -rf {} + \
        2>/dev/null || true
    remove_tailnet
}
trap tidy EXIT

# --- The tailnet, the site and the target ---------------------------------------------------------

useradd --system --no-create-home --shell /bin/sh --password "*" "$OPS"
install_peers
make_hub_net
mkdir -p "$CONFIG" "$SSH"
ssh-keygen -q -t ed25519 -N '' -C ana -f "$SSH/id_ed25519"
# What a program finds on the site's host: Tailscale, and the authority of the server.
mkdir -p "$WORK/sshd-site"
echo "SetEnv PATH=/usr/bin:/bin:$ROOM/peers SSL_CERT_FILE=$CA" >"$WORK/sshd-site/more"
start_sshd site "$SITE" "$SITE_ADDRESS"
cat "$SSH/id_ed25519.pub" >>"$WORK/sshd-site/authorized_keys"
in_net "$JUMP" ssh-keyscan -t ed25519 "$SITE_ADDRESS" 2>/dev/null >"$SSH/known_hosts"
own() { chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"; }
own
chmod 700 "$SSH"
start_inner_postgres
make_headscale 2m
start_headscale
API_KEY=$(make_api_key)
set_policy <<HUJSON
{
  // The words of whoever runs the tailnet stay where they are.
  "tagOwners": {"$ROUTER_TAG": [], "$OPERATOR_TAG": []},
  "acls": [{"action": "accept", "src": ["$OPERATOR_TAG"], "dst": ["10.20.0.7/32:5432"]}],
}
HUJSON

# --- What the walk stands on ----------------------------------------------------------------------

by_hand() { at_jump "$OPERATOR" env PGCONNECT_TIMEOUT=3 psql -h "$1" -p "$2" -U ana -d postgres -Atc 'select 6 * 7'; }
refuse "the private network cannot be seen from the operator's host" 2 by_hand 10.20.0.7 5432
check "the server answers with its own authority's certificate" api GET health
refuse "and with no other's" 60 in_net "$JUMP" curl --silent "$SERVER/health"
check "the site's host is reached over SSH, and has Tailscale" at_jump "$OPERATOR" \
    ssh -o BatchMode=yes "$OPS@$SITE_ADDRESS" tailscale version

# The router's own script, without breakglass: what it does when it is ended is seen here first.
HAND=$WORK/by-hand
mkdir -p "$HAND"
chown "$OPERATOR:$OPERATOR" "$HAND"
chmod 700 "$HAND"
cat >"$WORK/router.env" <<ENV
set -a
TS_AUTHKEY=$(make_auth_key "$ROUTER_TAG") TS_ROUTES=10.20.0.7/32 TS_HOSTNAME=bg-by-hand
TS_LOGIN_SERVER=$SERVER
set +a
$(cat "$top/src/provider/tailscale/router.sh")
ENV
chown "$OPS:$OPS" "$WORK/router.env"
chmod 600 "$WORK/router.env"
in_net "$SITE" setpriv --reuid "$OPS" --regid "$OPS" --clear-groups \
    env -i PATH="/usr/bin:/bin:$ROOM/peers" SSL_CERT_FILE="$CA" \
    sh "$WORK/router.env" </dev/null >"$WORK/router.log" 2>&1 9>&- &
router=$!
at_jump "$OPERATOR" SSL_CERT_FILE="$CA" tailscaled --tun=userspace-networking --state=mem: \
    --statedir="$HAND" --socket="$HAND/sock" --port=0 --no-logs-no-support \
    </dev/null >"$WORK/node.log" 2>&1 9>&- &
node() { at_jump "$OPERATOR" tailscale --socket="$HAND/sock" "$@"; }
make_auth_key "$OPERATOR_TAG" >"$HAND/key"
chown "$OPERATOR" "$HAND/key"
check "the operator's own node joins" node up --auth-key="file:$HAND/key" --login-server="$SERVER" \
    --hostname=bg-by-hand-ana --accept-routes --accept-dns=false --timeout=60s
rm "$HAND/key" "$WORK/router.env"
advertises() { [ "$(id_of bg-by-hand)" != None ]; }
id_of() {
    api GET node | json "next((n['id'] for n in it['nodes'] if n['name'] == '$1' and n['online']), None)"
}
until_true "the router joins" advertises
check "its route is approved" api POST "node/$(id_of bg-by-hand)/approve_routes" \
    '{"routes":["10.20.0.7/32"]}'
routed() { node status --json | grep -A1 '"PrimaryRoutes"' | grep -q 10.20.0.7/32; }
until_true "the operator's node hears of it" routed
through() { node nc 10.20.0.7 "$1" < <(printf '\0\0\0\10\4\322\26\57'; sleep 2) | head -c 1; }
answers_by_hand() { [ "$(through 5432)" = N ]; }
until_true "PostgreSQL answers through the tailnet" answers_by_hand
pkill -TERM -u "$OPS" -f "$WORK/router.env"
wait "$router" || fail "the router ended with code $?: $(tail -n 3 "$WORK/router.log")"
node logout
pkill -TERM -u "$OPERATOR" -x tailscaled
no_router_left() { ! pgrep -u "$OPS" -x tailscaled >/dev/null && ! ls -d /tmp/ts.* >/dev/null 2>&1; }
until_true "ended, it leaves no process and no file" no_router_left
until_true "and no node" no_node_left

# --- breakglass: opened, used, ended --------------------------------------------------------------

cat >"$CONFIG/config.toml" <<TOML
# The operator's own words stay where they are.
[[site]]
id = "acme"
name = "Acme production"
private-ranges = ["10.20.0.0/24"]
providers = []

[site.launcher]
kind = "ssh"
host = "$SITE_ADDRESS"
user = "$OPS"
method = "timeout"

[[target]]
id = "orders-db"
site = "acme"
kind = "postgres"
address = "10.20.0.7:5432"
user = "ana"
database = "postgres"

[[target]]
id = "closed"
site = "acme"
kind = "tcp"
address = "10.20.0.7:5999"
TOML
own

state_of() { bg show "$1" --json | field state | tr '[:upper:]' '[:lower:]'; }
is() { [ "$(state_of "$1")" = "$2" ]; }
ended_since() { is "$1" "$2" && bg show "$1" --json | field end_reason | grep -q "$3"; }
open_one() { bg open "$@" --reason "INC-42" --json; }
query() {
    at_jump "$1" env PGCONNECT_TIMEOUT=5 \
        psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'
}
answers() { [ "$(query "$OPERATOR")" = 42 ]; }
# opened TARGET ARGS...: sets id and port.
opened() {
    open_one "$@" >"$WORK/open.json" || fail "it does not open: $(cat "$WORK/open.json")"
    id=$(field id <"$WORK/open.json")
    port=$(port_of "$id")
}
# Nodes of ours that the server knows, and keys of ours that still open.
ours() { api GET node | json "sum(n['name'].startswith('bg-') for n in it['nodes'])"; }
live_keys() {
    api GET preauthkey |
        json "sum(not k['used'] and k['expiration'] > '$(date -u +%FT%TZ)' for k in it['preAuthKeys'])"
}
no_program_left() {
    no_router_left && ! pgrep -u "$OPERATOR" -x tailscaled >/dev/null &&
        [ -z "$(ls -A "$RUN/ts" 2>/dev/null)" ]
}
# nothing_left: but for keys that nobody saw being made when the engine was killed.
keys_lost=0
nothing_left() { [ "$(ours)" = 0 ] && [ "$(live_keys)" -le "$keys_lost" ] && no_program_left; }

become_owner
printf 'seven green boats drift by the mole\n' |
    bg vault unlock --passphrase-stdin >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
watch_processes
add_tailnet() {
    printf '%s\n' "$1" | bg providers add tailscale tailnet --server "$SERVER" --ca-file "$CA" \
        --router-tag "$ROUTER_TAG" --operator-tag "$OPERATOR_TAG" --key-stdin "${@:2}"
}
refuse "a key that the server does not know is not kept" 5 add_tailnet "hskey-api-aaaaaaaaaaaa-$CANARY"
check "one that it knows is" add_tailnet "$API_KEY"
says "and it says whose it is" "an API key of Headscale"
grep -q "The operator's own words" "$CONFIG/config.toml" || fail "the comment is gone"
ok "and every comment of the file is kept"
sed -i 's/^providers = \[\]/providers = ["tailnet"]/' "$CONFIG/config.toml"
check "the tailnet can be looked at" bg providers validate tailnet
check "the plan says what would be made" bg open orders-db --plan
says "with the one address that a router would serve" "choose a route to 10.20.0.7"
nothing_left || fail "the plan left something"
ok "and a plan makes nothing"

begun=$SECONDS
opened orders-db --for 30m
ok "it opens ($((SECONDS - begun)) s)"
answers || fail "no answer through the tailnet"
ok "psql works through the tailnet"
refuse "another UNIX user is refused" 2 query "$STRANGER"
refuse "and cannot use the node's socket either" 1 \
    at_jump "$STRANGER" sh -c "ls $RUN/ts/* >/dev/null 2>&1 || exit 1"
served() { api GET node | json "[n['subnetRoutes'] for n in it['nodes'] if n['subnetRoutes']]"; }
[ "$(served)" = "[['10.20.0.7/32']]" ] || fail "not exactly the target's address is served: $(served)"
ok "only the target's address is served"
tags() { api GET node | json "sorted({t for n in it['nodes'] for t in n['tags']})"; }
[ "$(tags)" = "['$OPERATOR_TAG', '$ROUTER_TAG']" ] || fail "the tags are others: $(tags)"
ok "and both nodes bear their tags"
[ "$(live_keys)" = 0 ] || fail "a key still opens"
ok "no key opens any more"
tells() { bg show "$id" | grep -q 'router: on'; }
until_true "the session tells how its router does" tells
check "it ends" bg end "$id" --reason done
until_true "it is Ended" is "$id" ended
until_true "and no node, key, process or file is left" nothing_left
refuse "a port that the policy allows to nobody does not open" 5 bg open closed --reason "INC-42"
until_true "and leaves nothing" nothing_left

# --- breakglass: broken in every way --------------------------------------------------------------

opened orders-db --for 30m
stop_headscale
answers || fail "no answer without the server"
ok "without the server, what is open goes on"
refuse "but nothing new opens" 5 bg open orders-db --reason "INC-43"
start_headscale
answers || fail "no answer once the server is back"
ok "and it goes on once the server is back"
check "it ends" bg end "$id"
until_true "it is Ended" is "$id" ended
until_true "and nothing is left" nothing_left

opened orders-db --for 30m
stop_headscale
bg end "$id" --reason "no server" >"$WORK/check.out" 2>&1 || true
until_true "ended without the server, its programs are gone" no_program_left
is "$id" ended && fail "nobody can know that its nodes are gone"
ok "and it does not say Ended, since nobody can know"
start_headscale
until_true "with the server, it is Ended" is "$id" ended
until_true "and nothing is left" nothing_left

opened orders-db --for 30m
cut_host "$SITE"
refuse "a site that is cut off does not answer" 2 query "$OPERATOR"
mend_host "$SITE"
until_true "and answers again once it is back, on the same port" answers
pkill -9 -u "$OPS" -x tailscaled
until_true "a router that is killed ends the session" ended_since "$id" ended provider-lost
until_true "and nothing is left" nothing_left

opened orders-db --for 30m
pkill -9 -u "$OPERATOR" -x tailscaled
until_true "so does this side's node" ended_since "$id" ended provider-lost
until_true "and nothing is left" nothing_left

# only_keys_wait: what is not Ended waits for the end of a key, which nobody saw being made or not; and
# behind that for the last look for nodes, as such a key can still make one.
only_keys_wait() {
    bg sessions --json | python3 -c '
import json, sys
waits = ("applied", "applying", "undoing", "owed", "unsure")
for session in json.load(sys.stdin)["sessions"]:
    left = [step["label"] for step in session["steps"] if step["progress"] in waits]
    keys = [label for label in left if "a key for" in label]
    last = [label for label in left if keys and label.startswith("choose a route")]
    print(*[label for label in left if label not in keys + last], sep="\n", end="")
' | tee "$WORK/waits.out"
    [ ! -s "$WORK/waits.out" ]
}
no_node_or_program_left() { [ "$(ours)" = 0 ] && no_program_left; }
for wait in 0.2 1.5 4; do
    open_one orders-db --for 30m >"$WORK/open.json" 2>&1 &
    opening=$!
    sleep "$wait"
    pkill -9 -u "$OPERATOR" -f "engine --detached" || true
    wait "$opening" 2>/dev/null || true
    bg vault unlock --passphrase-stdin <<<"seven green boats drift by the mole" >/dev/null 2>&1 || true
    bg end --all >/dev/null 2>&1 || true
    until_true "killed after $wait s: nothing but the end of a key is waited for" only_keys_wait
    until_true "killed after $wait s: no node and no program is left" no_node_or_program_left
done
keys_lost=$(live_keys)
ok "$keys_lost keys that nobody saw being made are left to their ten minutes"
opened orders-db --for 30m
pkill -9 -u "$OPERATOR" -f "engine --detached"
bg sessions >/dev/null
until_true "an Active session is taken up after a kill, on its port" answers
bg vault unlock --passphrase-stdin <<<"seven green boats drift by the mole" >/dev/null 2>&1 || true
check "and ends" bg end "$id"
until_true "it is Ended" is "$id" ended
until_true "and nothing is left" nothing_left

# A key of the API that is revoked while a session is open.
opened orders-db --for 30m
# Its name for the server: twelve characters, of which some may be hyphens.
prefix=${API_KEY#hskey-api-}
hs apikeys expire --prefix "${prefix:0:12}" >"$WORK/hs.out" 2>&1 ||
    fail "the key cannot be revoked: $(cat "$WORK/hs.out")"
bg end "$id" >"$WORK/check.out" 2>&1 || true
until_true "with a revoked key its programs are gone all the same" no_program_left
is "$id" ended && fail "nobody can know that its nodes are gone"
ok "and it does not say Ended"
API_KEY=$(make_api_key)
new_key() { printf '%s\n' "$1" | bg providers rotate-key tailnet --key-stdin; }
check "a new key is taken" new_key "$API_KEY"
until_true "and finishes it" is "$id" ended
until_true "with nothing left" nothing_left

# --- breakglass: other routes ---------------------------------------------------------------------

set_policy <<HUJSON
{
  // The words of whoever runs the tailnet stay where they are.
  "tagOwners": {"$ROUTER_TAG": [], "$OPERATOR_TAG": []},
  "acls": [{"action": "accept", "src": ["$OPERATOR_TAG"], "dst": ["*:5432"]}],
}
HUJSON
# A more specific route, whose node was killed, is in the way.
STALE=$WORK/stale
install -d -o "$OPS" -g "$OPS" -m 700 "$STALE"
at_site() {
    in_net "$SITE" setpriv --reuid "$OPS" --regid "$OPS" --clear-groups \
        env -i PATH="/usr/bin:/bin:$ROOM/peers" HOME="$STALE" SSL_CERT_FILE="$CA" "$@"
}
at_site tailscaled --tun=userspace-networking --state=mem: --statedir="$STALE" \
    --socket="$STALE/sock" --port=0 --no-logs-no-support </dev/null >"$WORK/stale.log" 2>&1 9>&- &
disown
make_auth_key "$ROUTER_TAG" >"$STALE/key"
chown "$OPS" "$STALE/key"
check "somebody's router joins" at_site tailscale --socket="$STALE/sock" up \
    --auth-key="file:$STALE/key" --login-server="$SERVER" --hostname=old \
    --advertise-routes=10.20.0.0/28 --accept-dns=false --timeout=60s
old_is_known() { [ "$(id_of old)" != None ]; }
until_true "and is known" old_is_known
old=$(id_of old)
check "its route is approved" api POST "node/$old/approve_routes" '{"routes":["10.20.0.0/28"]}'
pkill -9 -u "$OPS" -x tailscaled
opened orders-db --for 30m
served | grep -q 'fd7a:115c:a1e0:b1a' || fail "it goes where the stale route leads: $(served)"
answers || fail "no answer past the stale route"
ok "a stale route that is more specific is gone around (4via6)"
check "it ends" bg end "$id"
until_true "it is Ended" is "$id" ended
api DELETE "node/$old" >/dev/null || fail "the stale node does not go"
until_true "with nothing left" nothing_left

seq 1 4 | xargs -P 4 -I{} ip netns exec "$JUMP" setpriv --reuid "$OPERATOR" --regid "$OPERATOR" \
    --clear-groups env -i HOME="$WORK/home-$OPERATOR" PATH="$PATH" TERM=dumb LANG=C.UTF-8 \
    XDG_RUNTIME_DIR="$WORK/run-$OPERATOR" "$BREAKGLASS" open orders-db --reason "INC-50" --for 30m \
    >"$WORK/four.out" 2>&1 || fail "not all opened: $(tail -n 5 "$WORK/four.out")"
[ "$(served | grep -o 'fd7a:115c:a1e0:b1a' | wc -l)" = 3 ] || fail "they share a route: $(served)"
ok "four sessions to one address open at once, each with a route of its own (4via6)"
for port in $(bg sessions --json | json "' '.join(s['endpoint'].rsplit(':', 1)[1] for s in it['sessions'] if s['endpoint'])"); do
    answers || fail "the session at port $port does not answer"
done
ok "and each answers"
# What waits for the end of a key that nobody saw being made still does: exit code 6.
bg end --all >"$WORK/check.out" 2>&1 || [ $? = 6 ] || fail "they do not end: $(cat "$WORK/check.out")"
until_true "they end, with nothing left" nothing_left

# The policy file, where it is edited for each session.
check "the policy file may be edited" add_tailnet "$API_KEY" --edit-policy
set_policy <<HUJSON
{
  // The words of whoever runs the tailnet stay where they are.
  "tagOwners": {"tag:other": []},
  "acls": [
    {"action": "accept", "src": ["tag:other"], "dst": ["10.20.0.9:22"]}, // the backup
  ],
}
HUJSON
cp "$HEAD/policy.hujson" "$WORK/policy.before"
refuse "but not without the operator's word" 4 bg open orders-db --reason "INC-51"
says "who is shown the change" "breakglass-operator-"
opened orders-db --for 30m --agree
answers || fail "no answer with a rule of its own"
ok "a session has a rule of its own"
policy() { api GET policy | json "it['policy']"; }
policy >"$WORK/policy.now"
grep -q "breakglass-operator-" "$WORK/policy.now" || fail "no rule: $(cat "$WORK/policy.now")"
grep -q "the backup" "$WORK/policy.now" || fail "a comment is gone: $(cat "$WORK/policy.now")"
ok "and the comments of the policy file stay"
check "it ends" bg end "$id"
until_true "it is Ended" is "$id" ended
[ "$(policy)" = "$(cat "$WORK/policy.before")" ] || fail "the policy file is another: $(policy)"
ok "and the policy file is what it was, byte for byte"
until_true "with nothing left" nothing_left

stop_watching
nowhere "the key of the API lies nowhere in the clear" "$API_KEY"
