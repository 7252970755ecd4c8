#!/usr/bin/env bash
# One engine for several UNIX users: who is in its group may use it, and each only what is theirs.

. "$(dirname "$0")/lib.sh"
ENGINE_USER=bg-e2e-engine TEAM=bg-e2e-team
ANA=bg-e2e-sys-ana BOB=bg-e2e-sys-bob EVE=bg-e2e-sys-eve
ROOT=$WORK/root
STATE=$ROOT/var/lib/breakglass RUN=$ROOT/run/breakglass CONFIG=$ROOT/etc/breakglass
engine=

tidy() {
    [ -n "$engine" ] && kill -9 "$engine" 2>/dev/null || true
    for user in $ANA $BOB $EVE $ENGINE_USER; do userdel "$user" 2>/dev/null || true; done
    groupdel "$TEAM" 2>/dev/null || true
}
trap tidy EXIT

groupadd --system "$TEAM"
useradd --system --no-create-home --gid "$TEAM" --shell /usr/sbin/nologin "$ENGINE_USER"
for user in $ANA $BOB $EVE; do make_user "$user"; done
usermod -aG "$TEAM" "$ANA"
usermod -aG "$TEAM" "$BOB"
mkdir -p "$CONFIG" "$STATE" "$RUN"
chmod 755 "$ROOT" "$ROOT"/* "$ROOT/var/lib" "$CONFIG"
chown "$ENGINE_USER:$TEAM" "$STATE" "$RUN"
chmod 700 "$STATE"
chmod 750 "$RUN"
cat >"$CONFIG/config.toml" <<EOF
[[target]]
id = "orders-db"
kind = "postgres"
address = "127.0.0.1:$PGPORT_REAL"

[[target]]
id = "orders-socket"
kind = "postgres"
address = "127.0.0.1:$PGPORT_REAL"
listen = "unix"
EOF
mkdir "$WORK/credentials"
printf 'seven green boats drift by the mole\n' >"$WORK/credentials/vault-passphrase"
chown -R "$ENGINE_USER" "$WORK/credentials"
chmod 500 "$WORK/credentials"
chmod 400 "$WORK/credentials/vault-passphrase"

# A member logs in with every group; what their environment says must make no difference.
member() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups env -i HOME="$WORK/home-$user" \
        PATH="$PATH" TERM=dumb LANG=C.UTF-8 XDG_RUNTIME_DIR="$WORK/run-$user" "$@"
}
on() { local user=$1; shift; member "$user" "$BREAKGLASS" --root "$ROOT" "$@"; }
start_engine() {
    setpriv --reuid "$ENGINE_USER" --regid "$TEAM" --clear-groups env -i PATH="$PATH" \
        HTTPS_PROXY=http://127.0.0.1:1 XDG_STATE_HOME="$WORK/elsewhere" \
        CREDENTIALS_DIRECTORY="$WORK/credentials" \
        "$BREAKGLASS" engine --system --root "$ROOT" >"$WORK/engine.out" 2>&1 &
    engine=$!
}
serves() { on "$ANA" engine status --json | grep -q '"pid"'; }

refuse "root is no user for the engine of a host" 2 "$BREAKGLASS" engine --system --root "$ROOT"
says "and it says what is" "UNIX user of its own"
refuse "nobody starts one of their own where the host's is down" 5 on "$ANA" sessions
says "and is told how" "--personal"
start_engine
until_true "the engine of the host serves" serves
[ "$(stat -c '%a %U %G' "$RUN/engine.sock")" = "660 $ENGINE_USER $TEAM" ] ||
    fail "the socket is $(stat -c '%a %U %G' "$RUN/engine.sock")"
ok "its socket is its group's"
[ ! -e "$WORK/elsewhere" ] || fail "it has obeyed its environment"
ok "its own environment is ignored"

refuse "who is not in the group is turned away" 4 on "$EVE" sessions
says "with the group's name" "$TEAM"
check "but may have an engine of their own" on "$EVE" --personal engine status

signed() { printf '%s\n' "$1" | on "$2" "${@:3}"; }
ana_secret='correct horse of ana 1' bob_secret='battery staple of bob 2'
as_root() {
    mkdir -p "$WORK/home-root"
    printf '%s\n' "$1" |
        env -i HOME="$WORK/home-root" PATH="$PATH" TERM=dumb "$BREAKGLASS" --root "$ROOT" "${@:2}"
}
refuse "no member makes themselves the first Owner" 4 \
    signed "$bob_secret" "$BOB" init --email bob@example.com --password-stdin
says "and reads who does" "root makes the first Owner"
check "root makes ana the Owner" as_root "$ana_secret" init --email ana@example.com --password-stdin
says "and reads that signing in bars" "signing in is enforced"
check "ana signs in" signed "$ana_secret" "$ANA" login --email ana@example.com --password-stdin
check "the credential has opened the vault" on "$ANA" vault status
says "so it is open" "open"
on "$ANA" operators invite bob@example.com --role member --json >"$WORK/invite.json" ||
    fail "ana cannot invite bob"
code=$(python3 -c "
import json
def find(v):
    if isinstance(v, dict):
        for k, w in v.items():
            if 'code' in k and isinstance(w, str): return w
            r = find(w)
            if r: return r
print(find(json.load(open('$WORK/invite.json'))))")
check "bob sets his password with the code" \
    signed "$code"$'\n'"$bob_secret" "$BOB" password set --email bob@example.com --code-stdin
check "and signs in" signed "$bob_secret" "$BOB" login --email bob@example.com --password-stdin
token=$(find "$WORK/run-$ANA" "$WORK/home-$ANA" -name 'system-sign-in-*')
[ "$(stat -c '%a %U' "$token")" = "600 $ANA" ] || fail "the sign-in is $(ls -l "$token")"
ok "a sign-in lies with its operator, closed to others"

open_one() { on "$ANA" open "$1" --reason INC-1 --for 30m --json; }
id=$(open_one orders-db | field id)
unix_id=$(open_one orders-socket | field id)
endpoint() { on "$ANA" show "$1" --json |
    python3 -c "import json,sys; print(json.load(sys.stdin)['session']['endpoint']['$2'])"; }
port=$(endpoint "$id" port)
folder=$(dirname "$(endpoint "$unix_id" socket)")
loopback() { $1 psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'; }
over_socket() { $1 psql -h "$folder" -U ana -d postgres -Atc 'select 6 * 7'; }
check "ana uses her port" loopback "member $ANA"
says "with the answer" "42"
check "and her socket" over_socket "member $ANA"
says "with the answer" "42"
refuse "bob cannot use her port" 2 loopback "member $BOB"
refuse "nor her socket" 2 over_socket "member $BOB"
refuse "root cannot use her port" 2 loopback env
refuse "nor her socket" 2 over_socket env
on "$BOB" sessions --json >"$WORK/bob.json"
! grep -q "$id" "$WORK/bob.json" || fail "bob sees ana's session"
ok "bob does not see her session"
refuse "nor may he end it" 2 on "$BOB" end "$id"
refuse "nor read the state" 2 member "$BOB" ls "$STATE"
refuse "nor her sign-in" 1 member "$BOB" cat "$token"
mine=$(find "$WORK/run-$BOB" "$WORK/home-$BOB" -name 'system-sign-in-*')
cp -p "$mine" "$WORK/bob.token"
cat "$token" >"$mine"
refuse "and her sign-in is worth nothing at his uid" 4 on "$BOB" sessions
cat "$WORK/bob.token" >"$mine"
check "his own is" on "$BOB" whoami

odd() { member "$ANA" env HTTPS_PROXY=http://127.0.0.1:1 SSL_CERT_FILE=/nonexistent \
    XDG_CONFIG_HOME=/nonexistent "$BREAKGLASS" --root "$ROOT" "$@"; }
check "what her environment says makes no difference" odd show "$id"

on "$ANA" audit tail --json >"$WORK/audit.json" 2>/dev/null || on "$ANA" audit --json >"$WORK/audit.json"
uids=$(python3 -c "
import re
print(*sorted(set(re.findall(r'\"uid\":\s*(\d+)', open('$WORK/audit.json').read()))))")
for user in $ANA $BOB; do
    grep -qw "$(id -u "$user")" <<<"$uids" || fail "the audit has uids $uids, not $user's"
done
ok "the audit has the uid of each"

kill -9 "$engine"
wait "$engine" 2>/dev/null || true
refuse "while it is down nobody starts another" 5 on "$ANA" sessions
start_engine
until_true "after kill -9 and a start the session is taken up, on its port" loopback "member $ANA"
until_true "and the one on the socket" over_socket "member $ANA"
check "sign-ins still hold" on "$ANA" whoami
refuse "bob still cannot use her port" 2 loopback "member $BOB"
refuse "a member may not stop the engine" 4 on "$BOB" engine stop
on "$ANA" doctor >"$WORK/check.out" || true
says "the doctor says whose the files are" "the host's engine's"
says "and which mode it is" "system mode"
check "ana ends all" on "$ANA" end --all
check "the audit chain holds" on "$ANA" audit verify
kill "$engine"
gone() { ! kill -0 "$engine" 2>/dev/null; }
until_true "SIGTERM stops it" gone
