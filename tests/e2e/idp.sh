# An OpenID provider for the walks that sign in: npm's oidc-provider on loopback. Sourced by the
# walks that need it, after lib.sh; run.sh ends what they leave behind.
#
#   start_idp PORT [CODE_SECONDS]   installs it into $ROOM, once, and starts it; ISSUER is set
#   stop_idp                        ends it, as if it were down
#   free_port                       a port on which nobody listens
#   approve CODE PERSON [deny]      the half of the sign-in that happens in a browser

# The client secret of `breakglass-confidential`, as server.mjs has it.
IDP_SECRET=e2e-secret-of-breakglass
IDP_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/idp" && pwd)

install_idp() {
    [ -d "$ROOM/idp/node_modules" ] && return
    mkdir -p "$ROOM/idp"
    cp "$IDP_DIR"/package.json "$IDP_DIR"/package-lock.json "$IDP_DIR"/server.mjs "$ROOM/idp/"
    (cd "$ROOM/idp" && npm ci --silent --no-audit --no-fund --ignore-scripts)
}

start_idp() {
    install_idp
    ISSUER=http://127.0.0.1:$1
    node "$ROOM/idp/server.mjs" "$@" >"$ROOM/idp/out.log" 2>"$ROOM/idp/err.log" &
    echo $! >"$ROOM/idp/pid"
    until_true "the identity provider listens" \
        curl --silent --fail --output /dev/null "$ISSUER/.well-known/openid-configuration"
}

stop_idp() {
    [ -f "$ROOM/idp/pid" ] || return 0
    kill "$(cat "$ROOM/idp/pid")" 2>/dev/null || true
    rm "$ROOM/idp/pid"
}

approve() { "$IDP_DIR/approve.sh" "$ISSUER" "$1" "$2" "${3:-approve}"; }

free_port() {
    python3 -c "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])"
}
