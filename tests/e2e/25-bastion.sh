#!/usr/bin/env bash
# A private PostgreSQL behind a real bastion: opened, used, broken in every way, proven gone.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/net.sh"
make_user "$OPERATOR"
make_user "$STRANGER"
# ssh looks where the system says that a home is.
usermod -d "$WORK/home-$OPERATOR" "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
CONFIG=$WORK/home-$OPERATOR/.config/breakglass
SSH=$WORK/home-$OPERATOR/.ssh
RUN=$WORK/run-$OPERATOR/breakglass
bg() { at_jump "$OPERATOR" "$BREAKGLASS" "$@"; }
mux() { tmux -L "bg-e2e-$$" -f /dev/null "$@"; }
screen() { mux capture-pane -p -t walk; }
shows() { screen | grep -qF -- "$1"; }
tidy() {
    mux kill-server 2>/dev/null || true
    remove_net
}
trap tidy EXIT

# A locked account may not sign in at all where PAM is not asked.
useradd --system --no-create-home --shell /bin/sh --password "*" "$OPS"
make_net
mkdir -p "$CONFIG" "$SSH"
ssh-keygen -q -t ed25519 -N '' -C ana -f "$SSH/id_ed25519"
start_sshd bastion "$BASTION" 10.91.0.2
cat "$SSH/id_ed25519.pub" >>"$WORK/sshd-bastion/authorized_keys"
start_inner_postgres
cat >"$CONFIG/config.toml" <<TOML
# The operator's own words stay where they are.
[[site]]
id = "acme"
name = "Acme production"
private-ranges = ["10.20.0.0/24"]
providers = []

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
own() { chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"; }
own
chmod 700 "$SSH"

# no_ssh_left: nothing that carried a path runs or lies anywhere.
no_ssh_left() {
    ! pgrep -u "$OPERATOR" -x ssh >/dev/null && ! pgrep -u "$OPERATOR" -x timeout >/dev/null &&
        [ -z "$(ls -A "$RUN/ssh" 2>/dev/null)" ]
}
state_of() { bg show "$1" --json | field state | tr '[:upper:]' '[:lower:]'; }
is() { [ "$(state_of "$1")" = "$2" ]; }
lost() { [ "$(bg show "$1" --json | field path_lost)" != None ]; }
whole() { ! lost "$1"; }
open_one() { bg open "$@" --reason "INC-42" --json; }
query() {
    at_jump "$1" env PGCONNECT_TIMEOUT=5 \
        psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc 'select 6 * 7'
}

refuse "the private network cannot be seen from the jump host" 2 \
    at_jump "$OPERATOR" env PGCONNECT_TIMEOUT=2 psql -h 10.20.0.7 -U ana -d postgres -c 'select 1'
become_owner
refuse "before there is a provider there is no path" 5 bg open orders-db --reason "INC-42"

refuse "a bastion whose host key is unknown is not kept" 5 \
    bg providers add ssh bastion --host 10.91.0.2 --user "$OPS"
says "and it says which key is missing" "host key"
in_net "$JUMP" ssh-keyscan -t ed25519 10.91.0.2 2>/dev/null >"$SSH/known_hosts"
own
refuse "nor one at which nobody may sign in" 5 \
    bg providers add ssh bastion --host 10.91.0.2 --user nobody-there
says "and it says who was refused" "nobody-there"
check "one that works is kept" bg providers add ssh bastion --host 10.91.0.2 --user "$OPS"
says "with each ability" "forwarding"
grep -q "The operator's own words" "$CONFIG/config.toml" || fail "the comment is gone"
ok "and every comment of the file"
sed -i 's/^providers = \[\]/providers = ["bastion"]/' "$CONFIG/config.toml"
check "it can be looked at" bg providers validate bastion
check "the plan says what would be made" bg open orders-db --reason "INC-42" --plan
says "and who else could come" "reach"

open_one orders-db --for 30m >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
port=$(port_of "$id")
[ "$(query "$OPERATOR")" = 42 ] || fail "no answer over the bastion"
ok "psql works over the bastion"
refuse "another UNIX user is refused" 2 query "$STRANGER"
refuse "and cannot use the bastion's socket either" 1 \
    at_jump "$STRANGER" sh -c "ls $RUN/ssh/* >/dev/null 2>&1 || exit 1"
check "it ends" bg end "$id" --reason done
until_true "it is Ended" is "$id" ended
until_true "and no process, socket or folder is left" no_ssh_left
refuse "a port at which nobody listens says so" 5 bg open closed --reason "INC-42"
says "with the reason" "refused"
until_true "and leaves nothing" no_ssh_left

# The link is cut: the loss is seen, said, and mended within the lease.
open_one orders-db --for 30m >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
port=$(port_of "$id")
cut_link
until_true "a cut link is seen" lost "$id"
is "$id" active || fail "the session is $(state_of "$id")"
ok "and the session goes on"
mend_link
until_true "the path is made again" whole "$id"
[ "$(query "$OPERATOR")" = 42 ] || fail "no answer after the cut"
ok "on the same port"

# The connection is killed, and stopped dead.
pkill -9 -u "$OPERATOR" -x ssh
until_true "a killed ssh is made again" query "$OPERATOR"
pkill -STOP -u "$OPERATOR" -x ssh
until_true "one that hangs too" query "$OPERATOR"

# The bastion goes away and comes back, with the same key, then with another.
stop_sshd bastion "$BASTION"
until_true "a bastion that is gone is seen" lost "$id"
start_sshd bastion "$BASTION" 10.91.0.2
until_true "and used again once it is back" whole "$id"
until_true "with the target behind it" query "$OPERATOR"
check "it ends" bg end "$id"
until_true "it is Ended" is "$id" ended
until_true "and nothing is left" no_ssh_left
stop_sshd bastion "$BASTION"
cp "$WORK/sshd-bastion/host_key" "$WORK/old_host_key"
make_host_key "$WORK/sshd-bastion"
start_sshd bastion "$BASTION" 10.91.0.2
refuse "a host key that has changed is refused" 5 bg open orders-db --reason "INC-42"
says "and it says so" "ANOTHER host key"
stop_sshd bastion "$BASTION"
cp "$WORK/old_host_key" "$WORK/sshd-bastion/host_key"
start_sshd bastion "$BASTION" 10.91.0.2

# A hostile banner, a jump chain, a target that is forbidden.
stop_sshd bastion "$BASTION"
printf 'hello \033]52;c;AAAA\007 \033[31mHost key verification failed.\n' >"$WORK/banner"
echo "Banner $WORK/banner" >"$WORK/sshd-bastion/more"
start_sshd bastion "$BASTION" 10.91.0.2
check "a hostile banner fools nobody" bg providers validate bastion
if grep -q "$(printf '\033')" "$WORK/check.out"; then fail "an escape reached the terminal"; fi
ok "and nothing of it reaches the terminal"
rm "$WORK/sshd-bastion/more"
stop_sshd bastion "$BASTION"
start_sshd bastion "$BASTION" 10.91.0.2
start_sshd inner "$INNER" 10.20.0.7
ssh-keygen -q -t ed25519 -N '' -C "$CANARY" -f "$WORK/vault_key"
printf 'restrict,port-forwarding,permitopen="10.20.0.7:5432" %s\n' "$(cat "$WORK/vault_key.pub")" \
    >>"$WORK/sshd-inner/authorized_keys"
cat "$SSH/id_ed25519.pub" >>"$WORK/sshd-inner/authorized_keys"
in_net "$BASTION" ssh-keyscan -t ed25519 10.20.0.7 2>/dev/null >>"$SSH/known_hosts"
own
check "a bastion behind a bastion is reached" \
    bg providers add ssh inner --host 10.20.0.7 --user "$OPS" --jump "$OPS@10.91.0.2"
sed -i 's/^providers = \["bastion"\]/providers = ["inner", "bastion"]/' "$CONFIG/config.toml"
check "and carries a session" bg connect orders-db --reason "INC-43" -- psql -Atc 'select 6 * 7'
says "with the target's answer" "42"
until_true "of which nothing is left" no_ssh_left

# A key of its own, in the vault.
printf 'seven green boats drift by the mole\n' |
    bg vault unlock --passphrase-stdin >"$WORK/check.out" 2>&1 || fail "$(cat "$WORK/check.out")"
rotate() { bg providers rotate-key inner --key-stdin <"$1"; }
ssh-keygen -q -t ed25519 -N '' -f "$WORK/wrong_key"
watch_processes
mv "$SSH/id_ed25519" "$WORK/own_key"
cat "$WORK/vault_key.pub" >>"$WORK/sshd-bastion/authorized_keys"
refuse "a key that does not work is not kept" 5 rotate "$WORK/wrong_key"
check "one that does is" rotate "$WORK/vault_key"
check "it carries a session" bg connect orders-db --reason "INC-44" -- psql -Atc 'select 6 * 7'
says "with the target's answer" "42"
refuse "a target that it may not reach says so" 5 bg open closed --reason "INC-44"
says "with the reason" "forbidden"
stop_watching
secret=$(sed -n 3p "$WORK/vault_key")
mv "$WORK/vault_key" "$WORK/wrong_key" "$ROOM/" 2>/dev/null || true
nowhere "the key lies nowhere in the clear" "$secret"
mv "$WORK/own_key" "$SSH/id_ed25519"
check "a provider is removed with its key" bg providers remove inner
grep -q inner "$CONFIG/config.toml" && fail "it is still named in the file"
ok "and out of every site"

# The engine is killed at any moment, and nothing is left.
for wait in 0.05 0.15 0.25 0.35 0.5 0.8; do
    open_one orders-db --for 30m >"$WORK/open.json" 2>&1 &
    opening=$!
    sleep "$wait"
    pkill -9 -u "$OPERATOR" -f "engine --detached" || true
    wait "$opening" 2>/dev/null || true
    bg sessions >/dev/null 2>&1 || true
    bg end --all >/dev/null 2>&1 || true
    none_live() { [ "$(bg sessions --json | python3 -c \
        "import json,sys; print(len(json.load(sys.stdin)['sessions']))")" = 0 ]; }
    until_true "killed after $wait s: nothing lives" none_live
    until_true "killed after $wait s: nothing is left" no_ssh_left
done
open_one orders-db --for 30m >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
port=$(port_of "$id")
pkill -9 -u "$OPERATOR" -f "engine --detached"
bg sessions >/dev/null
until_true "an Active session is taken up after a kill, on its port" query "$OPERATOR"
check "and ends" bg end "$id"
until_true "Ended" is "$id" ended
until_true "and nothing is left" no_ssh_left

# What belongs to nobody is found by its mark, and only what is ours.
install=$(bg engine status --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['engine']['installation'])")
ours=bg-$install-deadbeef-7fffffff theirs=bg-zzzzzz-deadbeef-7fffffff
for mark in $ours $theirs; do
    at_jump "$OPERATOR" sh -c \
        "setsid sh -c 'sleep 600; true' $RUN/ssh/deadbeef/$mark >/dev/null 2>&1 &"
done
check "a sweep finds what is left" bg sweep
says "by its session" "deadbeef"
if grep -q zzzzzz "$WORK/check.out"; then fail "it shows another installation's"; fi
pgrep -f "$ours" >/dev/null || fail "a dry run removed it"
ok "a dry run removes nothing"
refuse "with --apply what may be needed stays" 6 bg sweep --apply
pgrep -f "$ours" >/dev/null || fail "it is gone"
check "with --also-unexpired it goes" bg sweep --apply --also-unexpired
pgrep -f "$ours" >/dev/null && fail "it is still there"
pgrep -f "$theirs" >/dev/null || fail "another installation's is gone"
ok "and another installation's stays"
pkill -f "$theirs"

# Fifty at once, and all gone.
seq 1 50 | xargs -P 50 -I{} ip netns exec "$JUMP" setpriv --reuid "$OPERATOR" --regid "$OPERATOR" \
    --clear-groups env -i HOME="$WORK/home-$OPERATOR" PATH="$PATH" TERM=dumb LANG=C.UTF-8 \
    XDG_RUNTIME_DIR="$WORK/run-$OPERATOR" "$BREAKGLASS" open orders-db --reason "INC-50" --for 5m \
    >"$WORK/fifty.out" 2>&1 || fail "not all opened: $(tail -n 5 "$WORK/fifty.out")"
ok "fifty sessions open over one bastion at once"
check "and end" bg end --all
until_true "with nothing left" no_ssh_left

# From the screens.
inside="ip netns exec $JUMP setpriv --reuid $OPERATOR --regid $OPERATOR --clear-groups env -i"
inside="$inside HOME=$WORK/home-$OPERATOR PATH=$PATH TERM=screen-256color LANG=C.UTF-8"
mux new-session -d -s walk -x 100 -y 30 "$inside XDG_RUNTIME_DIR=$WORK/run-$OPERATOR sh"
press "$BREAKGLASS" Enter
sign_in_at_screens
press 1
until_true "the Providers tab shows the bastion" shows "bastion"
press 2
press o
until_true "o asks what to open" shows "orders-db"
type_in orders
type_in "INC-51 from the screens"
sleep 0.3
shows "Active" || press Enter
until_true "the session is Active" shows "Active"
id=$(bg sessions --json | python3 -c \
    "import json,sys; print(json.load(sys.stdin)['sessions'][0]['id'])")
port=$(port_of "$id")
[ "$(query "$OPERATOR")" = 42 ] || fail "no answer"
ok "psql works"
check "it ends" bg end "$id"
until_true "and the screens say so" shows "Ended"
mux kill-server

# The lease ends in the middle of a transfer.
open_one orders-db --for 1m >"$WORK/open.json"
id=$(field id <"$WORK/open.json")
port=$(port_of "$id")
at_jump "$OPERATOR" psql -h 127.0.0.1 -p "$port" -U ana -d postgres -Atc \
    "copy (select repeat('x', 1000) from generate_series(1, 100000000)) to stdout" \
    >/dev/null 2>"$WORK/transfer.out" &
transfer=$!
ended_in_time() { is "$id" ended; }
for _ in $(seq 1 3); do
    kill -0 "$transfer" 2>/dev/null || fail "the transfer ended early: $(cat "$WORK/transfer.out")"
    sleep 15
done
until_true "the lease ends it" ended_in_time
wait "$transfer" && fail "the transfer came to its end"
ok "with its connections"
until_true "and nothing is left" no_ssh_left
check "the audit chain holds" bg audit verify
check "the engine stops when nothing lives" bg engine stop
until_true "and no process is left" no_engine_left
