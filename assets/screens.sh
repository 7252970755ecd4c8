#!/usr/bin/env bash
# Takes the pictures of the README anew, from a drill and from an installation of a moment on this
# host. Needs tmux and python3.
#
#   cargo build --release && assets/screens.sh
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/breakglass}
take() { python3 assets/screenshot.py "assets/screens/$1.svg" --size 110x32 "$program demo" "${@:2}"; }

take sessions see:Active 'see:is open at' key:Enter key:Escape
take open 'see:is open at' key:o 'see:Open a session' text:ledger 'see:path' key:Enter see:tailnet
take owed 'see:is open at' key:o 'see:Open a session' text:sticks key:Enter 'see:reason' \
    'text:DRILL INC-7 what if it stays' key:Enter 'see:sticks is open at' key:e 'see:end the session' \
    key:Right key:Enter 'see:CleanupOwed'
take users-in-a-drill 'see:is open at' key:3 'see:Nobody signs in here'

# An installation with an Owner who is listed for an identity provider that does not answer.
room=$(mktemp -d)
real=("$program" --state-dir "$room/state" --config "$room/config.toml")
trap '"${real[@]}" engine stop >/dev/null 2>&1 || true; rm -rf "$room"' EXIT
real() { python3 assets/screenshot.py "assets/screens/$1.svg" --size 110x32 "${real[*]}" "${@:2}"; }
password='seven kettles under the bridge'
: >"$room/config.toml"
chmod 600 "$room/config.toml"
real first-start 'see:step 1 of 3' text:ana@example.com key:Enter 'see:step 2 of 3' "text:$password"
# The engine of the screens that were just closed may still be leaving.
while [ -S "$room/state/run/engine.sock" ]; do sleep 0.1; done
printf '%s\n' "$password" | "${real[@]}" init --email ana@example.com --password-stdin >/dev/null
"${real[@]}" idp add corp --kind oidc --issuer http://127.0.0.1:1 --client-id breakglass \
    --domain example.com --save-unhealthy >/dev/null
"${real[@]}" break-glass-users add --idp corp ana@example.com >/dev/null
"${real[@]}" idp enforce corp >/dev/null
in=('see:enter sign in' text:ana@example.com key:Enter "text:$password")
real sign-in "${in[@]}"
real users "${in[@]}" key:Enter see:Providers key:3 'see:ana@example.com'
