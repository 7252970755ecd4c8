#!/usr/bin/env bash
# Takes the pictures of the README anew, from a drill on this host. Needs tmux and python3.
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
