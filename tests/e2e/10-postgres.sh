#!/usr/bin/env bash
# A session on a real PostgreSQL from the command line: opened, used, ended, proven gone.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
make_user "$STRANGER"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
mkdir -p "$CONFIG"
cat >"$CONFIG/config.toml" <<TOML
# The operator's own words stay where they are.
[[target]]
id = "orders-db"
kind = "postgres"
address = "127.0.0.1:$PGPORT_REAL"
user = "ana"
database = "postgres"

[[target]]
id = "orders-socket"
kind = "postgres"
address = "127.0.0.1:$PGPORT_REAL"
user = "ana"
database = "postgres"
listen = "unix"
TOML
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"

check "the configuration is right" bg config check
refuse "before there is an Owner nothing opens" 4 bg open orders-db --reason "INC-42"
says "and it says what to do" "breakglass init --email"
become_owner
check "a dry run shows the path and does nothing" \
    bg open orders-db --reason "INC-42" --for 30m --plan
says "the plan says why" "the target answers from this host"

bg open orders-db --reason "INC-42 slow queries" --for 30m --json >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
state=$(field state <"$WORK/open.json")
[ "${state,,}" = active ] || fail "it is $state"
ok "open returns once the session is Active"
port=$(port_of "$id")

query() {
    as "$1" psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'
}
[ "$(query "$OPERATOR")" = 42 ] || fail "no answer through the endpoint"
ok "psql works through the endpoint"
refuse "another UNIX user is refused" 2 query "$STRANGER"
if env PGCONNECT_TIMEOUT=5 psql -h 127.0.0.1 -p "$port" -U ana -d postgres -c 'select 1' \
    >/dev/null 2>&1; then
    fail "root got in"
fi
ok "root is refused too"
until_true "the refusals are in the audit" \
    sh -c "setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i HOME=$WORK/home-$OPERATOR PATH=$PATH XDG_RUNTIME_DIR=$WORK/run-$OPERATOR $BREAKGLASS audit tail -n 50 --json | grep -q session.connection.refused"

check "it can be extended" bg extend "${id: -12:8}" --by 15m
check "it ends" bg end "${id: -12:8}"
ended() { [ "$(bg show "$id" --json | field state | tr '[:upper:]' '[:lower:]')" = ended ]; }
until_true "it is Ended" ended
refuse "the next psql is refused" 2 query "$OPERATOR"
check "it is shown with its receipt" bg show "$id"
says "the receipt names the listener" "listener 127.0.0.1:$port"
check "the audit chain holds" bg audit verify

refuse "a target that nobody knows is a usage error" 2 bg open ordersdb --reason x
says "and it says what was meant" 'orders-db'
refuse "an empty reason is denied" 4 bg open orders-db --reason ' '
refuse "a target that refuses is unavailable" 5 \
    bg open --address 127.0.0.1:1 --kind tcp --reason x
refuse "longer than policy allows is denied" 4 bg open orders-db --reason x --for 24h
refuse "and what is no duration is a usage error" 2 bg open orders-db --reason x --for 9999h

check "a command runs with the endpoint in its environment" \
    bg connect orders-db --reason "INC-43" -- psql -Atc 'select 6 * 7'
says "and its output is its own" "42"
refuse "its exit code is passed on" 7 bg connect orders-db --reason "INC-44" -- sh -c 'exit 7'

# Nobody listens on 127.0.0.2: a command that believes the caller's environment fails.
astray() {
    as "$OPERATOR" env PGHOSTADDR=127.0.0.2 PGPORT=1 PGSERVICE=none PGCONNECT_TIMEOUT=5 \
        "$BREAKGLASS" "$@"
}
check "what the caller's environment says leads nowhere else" \
    astray connect orders-db --reason "INC-45" -- psql -Atc 'select 6 * 7'
says "over the port" "42"
check "nor over a socket" \
    astray connect orders-socket --reason "INC-46" -- psql -Atc 'select 6 * 7'
says "with the target's answer" "42"

bg open orders-socket --reason "INC-47" --for 30m --json >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
bg show "$id" --json >"$WORK/show.json"
command=$(field command <"$WORK/show.json")
socket=$(python3 -c \
    "import json,sys; print(json.load(sys.stdin)['session']['endpoint']['socket'])" \
    <"$WORK/show.json")
[ "$(basename "$socket")" = .s.PGSQL.5432 ] || fail "the socket is $socket"
offered() { as "$1" sh -c "$command -Atc 'select 6 * 7'"; }
check "the offered psql works over the socket" offered "$OPERATOR"
says "with the answer" "42"
refuse "another UNIX user may not open it" 2 offered "$STRANGER"
says "for want of permission" "Permission denied"
check "the session on the socket ends" bg end "$id"
until_true "it is Ended too" ended
[ ! -e "$(dirname "$socket")" ] || fail "its folder is left"
ok "and its folder is gone"

[ "$(stat -c %a "$STATE")" = 700 ] || fail "the state directory is open to others"
for file in "$STATE"/*; do
    case $(stat -c %a "$file") in
        600 | 700) ;;
        *) fail "$file has mode $(stat -c %a "$file")" ;;
    esac
done
ok "nobody else may read the state"
check "disabling Direct is kept in the file" bg providers disable direct
grep -q "The operator's own words" "$CONFIG/config.toml" || fail "the comment is gone"
ok "with the comments kept"
refuse "then nothing can be reached" 5 bg open orders-db --reason x
check "and back" bg providers enable direct
printf '\n[[target]]\nid = "reports-db"\nkind = "postgres"\naddress = "127.0.0.1:%s"\n' "$PGPORT_REAL" \
    >>"$CONFIG/config.toml"
check "a target that is added is known to the engine that runs" \
    bg open reports-db --reason "INC-45" --for 5m
check "and can be ended" bg end --all
echo 'nonsense = 1' >>"$CONFIG/config.toml"
refuse "a configuration that breaks blocks opening" 3 bg open reports-db --reason "INC-46"
sed -i '$d' "$CONFIG/config.toml"
check "and no more once it is mended" bg open reports-db --reason "INC-47" --for 5m
check "all can be ended" bg end --all
check "the operator signs out" bg logout
refuse "then nothing opens" 4 bg open orders-db --reason "INC-48"
says "and it says what to do" "breakglass login"
check "the engine stops when nothing lives" bg engine stop
until_true "and no process is left" no_engine_left
