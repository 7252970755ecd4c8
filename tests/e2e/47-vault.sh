#!/usr/bin/env bash
# The vault: a sealed file, moved and sealed anew, and a real keyring that is locked and opened.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
HOME_DIR=$WORK/home-$OPERATOR RUN_DIR=$WORK/run-$OPERATOR
STATE=$HOME_DIR/.local/state/breakglass
chown -R "$OPERATOR:$OPERATOR" "$HOME_DIR"
watch_processes
# close_desktop PROGRAM: ends the one that `in_desktop` has started, and waits until it has ended.
close_desktop() {
    local pid
    pid=$(cat "$RUN_DIR/$1.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}
trap 'stop_watching; close_desktop gnome-keyring-daemon; close_desktop dbus-daemon' EXIT

FIRST="$CANARY of the vault" SECOND="$CANARY of the vault, anew" MOVED="$CANARY of the export"
SECRET="$CANARY of the client"

# typed LINES... -- COMMAND...: the program, with these lines on its standard input.
typed() {
    local lines=()
    while [ "$1" != -- ]; do
        lines+=("$1")
        shift
    done
    shift
    printf '%s\n' "${lines[@]}" | bg "$@"
}
# add ID [ARGS...]: an identity provider with a client secret. Nobody listens on port 1.
add() {
    local id=$1
    shift
    typed "$SECRET" -- idp add "$id" --kind oidc --issuer http://127.0.0.1:1 --client-id breakglass \
        --secret-stdin --save-unhealthy "$@"
}
restart() {
    bg "$@" engine stop >/dev/null
    until_true "the engine stops" no_engine_left
}
mode_is_private() { [ "$(stat -c %a "$1")" = 600 ] || fail "$1 has mode $(stat -c %a "$1")"; }

become_owner
check "there is no vault yet" bg vault status
says "and it says how one is made" "not made yet"
refuse "a passphrase that is easily guessed makes none" 4 typed "password" -- \
    vault unlock --passphrase-stdin
refuse "without one a client secret is not taken in" 5 add corp
check "a vault is made" typed "$FIRST" -- vault unlock --passphrase-stdin
check "it takes a client secret in" add corp
mode_is_private "$STATE/vault"
ok "nobody else may read the file"
restart
check "after a start it is locked" bg vault status
says "and says so" "locked"
refuse "a wrong passphrase does not open it" 4 typed "$SECOND" -- vault unlock --passphrase-stdin
refuse "nothing is put into a locked vault" 5 add other
says "and it says what to do" "breakglass vault unlock"
printf '%s\n' "$FIRST" >"$HOME_DIR/passphrase"
chown "$OPERATOR:$OPERATOR" "$HOME_DIR/passphrase"
chmod 644 "$HOME_DIR/passphrase"
refuse "a passphrase that others can read is refused" 2 bg vault unlock \
    --passphrase-file "$HOME_DIR/passphrase"
chmod 600 "$HOME_DIR/passphrase"
check "the right one opens it, from a file" bg vault unlock \
    --passphrase-file "$HOME_DIR/passphrase"
rm "$HOME_DIR/passphrase"
says "with what is in it" "idp-corp"

refuse "a wrong passphrase changes none" 4 typed "$MOVED" "$SECOND" -- \
    vault change-passphrase --passphrase-stdin
check "the right one does" typed "$FIRST" "$SECOND" -- vault change-passphrase --passphrase-stdin
mode_is_private "$STATE/vault"
restart
refuse "the old one opens nothing any more" 4 typed "$FIRST" -- vault unlock --passphrase-stdin
check "the new one does" typed "$SECOND" -- vault unlock --passphrase-stdin
says "with what is in it" "idp-corp"

export=$HOME_DIR/vault.sealed
check "everything is exported" typed "$MOVED" -- vault export --out "$export" --passphrase-stdin
mode_is_private "$export"
before=$(sha256sum <"$export")
refuse "a file that is there is not touched" 2 typed "$MOVED" -- \
    vault export --out "$export" --passphrase-stdin
[ "$(sha256sum <"$export")" = "$before" ] || fail "it was"
check "the operator signs out" bg logout
refuse "then nothing is exported" 4 typed "$MOVED" -- \
    vault export --out "$export.2" --passphrase-stdin
[ ! -e "$export.2" ] || fail "a file was made"
nowhere "nothing that was typed stands anywhere" "$CANARY"
restart

other=(--state-dir "$HOME_DIR/other" --config "$HOME_DIR/other.toml")
install -o "$OPERATOR" -g "$OPERATOR" -m 600 /dev/null "$HOME_DIR/other.toml"
become_owner "${other[@]}"
check "another installation makes a vault" typed "$FIRST" -- "${other[@]}" \
    vault unlock --passphrase-stdin
says "with nothing in it" "nothing"
import() { typed "$1" -- "${other[@]}" vault import "$2" --passphrase-stdin; }
refuse "a wrong passphrase imports nothing" 4 import "$FIRST" "$export"
refuse "and what is no export is refused" 2 import "$MOVED" "$HOME_DIR/other.toml"
check "the right one imports" import "$MOVED" "$export"
says "all of it" "idp-corp"
restart "${other[@]}"

# A bus and a keyring as a desktop session has them.
export BUS=unix:path=$RUN_DIR/bus
in_desktop() {
    as "$OPERATOR" env DBUS_SESSION_BUS_ADDRESS="$BUS" \
        sh -c 'echo $$ >"$XDG_RUNTIME_DIR/$1.pid"; exec "$@"' sh "$@"
}
# No service directory: the bus starts no keyring by itself, which would be a locked one.
cat >"$WORK/bus.conf" <<XML
<busconfig>
  <type>session</type>
  <listen>$BUS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
XML
in_desktop dbus-daemon --config-file="$WORK/bus.conf" --nofork --nopidfile 2>"$WORK/bus.err" &
bus_answers() {
    in_desktop dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
        org.freedesktop.DBus.GetId
}
until_true "a bus answers" bus_answers
KEYRING="$CANARY of the keyring"
# open_keyring: the keyring as it is after its owner has logged in.
open_keyring() {
    close_desktop gnome-keyring-daemon
    printf %s "$KEYRING" | in_desktop gnome-keyring-daemon --foreground --unlock \
        --components=secrets >>"$WORK/keyring.out" 2>&1 &
}
open_keyring
service() {
    in_desktop dbus-send --session --print-reply --dest=org.freedesktop.secrets \
        /org/freedesktop/secrets "org.freedesktop.Secret.Service.$@"
}
login_is_open() {
    in_desktop dbus-send --session --print-reply --dest=org.freedesktop.secrets \
        /org/freedesktop/secrets/aliases/default org.freedesktop.DBus.Properties.Get \
        string:org.freedesktop.Secret.Collection string:Locked | grep "boolean false"
}
until_true "a keyring is open" login_is_open

ring=(--state-dir "$HOME_DIR/ring" --config "$HOME_DIR/ring.toml")
install -o "$OPERATOR" -g "$OPERATOR" -m 600 /dev/null "$HOME_DIR/ring.toml"
become_owner "${ring[@]}"
check "where there is a keyring, that is the vault" bg "${ring[@]}" vault status
says "and it says so" "the operating system's keyring"
check "which takes a client secret in" add corp "${ring[@]}"
restart "${ring[@]}"
check "it is there after a start" bg "${ring[@]}" vault status
says "by its name" "idp-corp"
[ ! -e "$HOME_DIR/ring/vault" ] || fail "there is a file too"
ok "there is no file"
check "the keyring is locked" service Lock array:objpath:/org/freedesktop/secrets/collection/login
refuse "then nothing is put into the vault" 5 add other "${ring[@]}"
says "which is locked too" "the vault is locked"
check "and says so" bg "${ring[@]}" vault status
says "when it is looked at" "locked"
says "and that it is the keyring" "the operating system's keyring"
refuse "it is locked for an export too" 5 typed "$MOVED" -- "${ring[@]}" \
    vault export --out "$HOME_DIR/ring.sealed" --passphrase-stdin
open_keyring
until_true "the keyring is opened" login_is_open
# A keyring that was started anew knows nothing of the session that the engine had with it.
restart "${ring[@]}"
check "then it takes secrets in again" add other "${ring[@]}"
check "and nothing is lost" bg "${ring[@]}" vault status
says "of what it had, or has now" "idp-corp, idp-other"

printf '[vault]\nbackend = "keyring"\n' >>"$HOME_DIR/ring.toml"
check "the keyring is locked again" \
    service Lock array:objpath:/org/freedesktop/secrets/collection/login
restart "${ring[@]}"
check "an engine that starts meanwhile" bg "${ring[@]}" vault status
says "takes no other vault for it" "the operating system's keyring"
says "and says that it is locked" "locked"
open_keyring
until_true "the keyring is opened again" login_is_open
restart "${ring[@]}"
check "it takes secrets in again" add third "${ring[@]}"
check "and nothing is lost" bg "${ring[@]}" vault status
says "of what it had, or has now" "idp-corp, idp-other, idp-third"
[ ! -e "$HOME_DIR/ring/vault" ] || fail "there is a file now"
ok "there is no file still"
check "the audit chain holds" bg "${ring[@]}" audit verify
nowhere "nothing that was typed stands anywhere" "$CANARY"
check "the engine stops" bg "${ring[@]}" engine stop
