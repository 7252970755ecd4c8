#!/usr/bin/env bash
# Builds the programs that play a tailnet, where they are missing, into a folder that is kept. Whoever
# comes while they are being built waits: run.sh begins with it beside the walks that need none of
# them, as it takes a quarter of an hour on two cores where Go has built nothing of it yet.

TAILSCALE=v1.102.5 HEADSCALE=v0.29.2
PEERS=${BREAKGLASS_E2E_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/breakglass-e2e/peers}
PEER_LIST="tailscaled tailscale.com $TAILSCALE
tailscale tailscale.com $TAILSCALE
headscale github.com/juanfont/headscale $HEADSCALE"

# is_peer PROGRAM MODULE VERSION: it is there already.
is_peer() {
    go version -m "$PEERS/$1" 2>/dev/null | awk '$1 == "mod" { print $2, $3 }' | grep -qx "$2 $3"
}

# build_peers: fails with the last words of what went wrong.
build_peers() {
    local name module version
    command -v go >/dev/null || {
        echo "there is no Go here, which builds Tailscale and Headscale"
        return 1
    }
    mkdir -p "$PEERS"
    (
        flock 8
        while read -r name module version; do
            if ! is_peer "$name" "$module" "$version"; then
                # What is at hand comes first: not every proxy lists the versions of all that it has.
                go mod download "$module@$version" >"$PEERS/go.out" 2>&1 &&
                    GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \
                        GOBIN=$PEERS nice -n 10 \
                        go install "$module/cmd/$name@$version" >>"$PEERS/go.out" 2>&1 || {
                    echo "$name cannot be built: $(tail -n 3 "$PEERS/go.out")"
                    exit 1
                }
            fi
        done <<<"$PEER_LIST"
    ) 8>"$PEERS/lock"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    build_peers
fi
