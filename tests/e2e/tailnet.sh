# A tailnet of the suite's own: a Headscale, its relay and its STUN on the control host of hub.sh, and
# the programs of Tailscale. Sourced after lib.sh, net.sh and hub.sh by the walks that need it.

. "$(dirname "${BASH_SOURCE[0]}")/peers.sh"
SERVER=https://$CONTROL_ADDRESS
HEAD=$WORK/headscale CA=$WORK/headscale/ca.pem
ROUTER_TAG=tag:breakglass-router OPERATOR_TAG=tag:breakglass-operator

# --- The programs ---------------------------------------------------------------------------------

# install_peers: has them built where they are missing, and copies them to where every user may run
# them.
install_peers() {
    local name rest why begun=$SECONDS
    why=$(build_peers) || fail "$why"
    mkdir -p "$ROOM/peers"
    while read -r name rest; do
        install -m 755 "$PEERS/$name" "$ROOM/peers/$name"
    done <<<"$PEER_LIST"
    chmod 755 "$ROOM/peers"
    PATH=$PATH:$ROOM/peers
    ok "Tailscale $TAILSCALE and Headscale $HEADSCALE are there ($((SECONDS - begun)) s waited)"
}

remove_tailnet() {
    stop_headscale
    remove_hub_net
}

# --- The server -----------------------------------------------------------------------------------

# make_certificates: an authority, and the server's certificate.
make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=e2e authority" -keyout "$HEAD/ca.key" -out "$CA" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "/CN=$CONTROL_ADDRESS" -keyout "$HEAD/server.key" -out "$HEAD/server.csr" 2>/dev/null
    openssl x509 -req -in "$HEAD/server.csr" -CA "$CA" -CAkey "$HEAD/ca.key" -CAcreateserial \
        -days 2 -extfile <(printf 'subjectAltName=IP:%s\n' "$CONTROL_ADDRESS") \
        -out "$HEAD/server.pem" 2>/dev/null
    chmod 644 "$CA"
}

# make_headscale [TIMEOUT]: certificates and a configuration; an ephemeral node that is offline for
# longer than that is removed.
make_headscale() {
    mkdir -p "$HEAD"
    chmod 755 "$HEAD"
    make_certificates
    cat >"$HEAD/config.yaml" <<YAML
server_url: $SERVER
listen_addr: $CONTROL_ADDRESS:443
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
tls_cert_path: $HEAD/server.pem
tls_key_path: $HEAD/server.key
noise:
  private_key_path: $HEAD/noise.key
prefixes:
  v4: 100.64.0.0/10
  v6: fd7a:115c:a1e0::/48
derp:
  server:
    enabled: true
    region_id: 999
    region_code: e2e
    region_name: e2e
    verify_clients: true
    stun_listen_addr: $CONTROL_ADDRESS:3478
    private_key_path: $HEAD/derp.key
    automatically_add_embedded_derp_region: true
    ipv4: $CONTROL_ADDRESS
  urls: []
  paths: []
  auto_update_enabled: false
disable_check_updates: true
node:
  ephemeral:
    inactivity_timeout: ${1:-30m}
database:
  type: sqlite
  sqlite:
    path: $HEAD/db.sqlite
log:
  level: info
policy:
  mode: database
dns:
  magic_dns: false
  base_domain: e2e.internal
  override_local_dns: false
unix_socket: $HEAD/sock
unix_socket_permission: "0700"
logtail:
  enabled: false
YAML
}

# hs ARGS...: the server's own command, which speaks to it over its socket.
hs() { "$ROOM/peers/headscale" --config "$HEAD/config.yaml" "$@"; }

start_headscale() {
    # Not by in_net: its pid is the server's own.
    ip netns exec "$CONTROL" "$ROOM/peers/headscale" --config "$HEAD/config.yaml" serve \
        >>"$HEAD/log" 2>&1 9>&- &
    echo $! >"$HEAD/pid"
    for _ in $(seq 1 300); do
        in_net "$JUMP" curl --silent --fail --max-time 5 --cacert "$CA" --output /dev/null \
            "$SERVER/health" && return
        sleep 0.1
    done
    fail "Headscale did not start: $(tail -n 5 "$HEAD/log")"
}

# stop_headscale [SIGNAL]: it goes away; what it knows stays.
stop_headscale() {
    local pid
    pid=$(cat "$HEAD/pid" 2>/dev/null) || return 0
    kill "-${1:-TERM}" "$pid" 2>/dev/null || true
    for _ in $(seq 1 100); do
        [ -d "/proc/$pid" ] || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$HEAD/pid"
}

# make_api_key: an API key, on standard output.
make_api_key() { hs apikeys create --expiration 24h 2>/dev/null | tail -n 1; }

# api METHOD PATH [JSON]: a call of the API as breakglass makes it, from the operator's host. The
# walk sets API_KEY. What the server answers is printed, also where it refuses.
api() {
    in_net "$JUMP" curl --silent --show-error --max-time 10 --cacert "$CA" --request "$1" \
        --config <(printf 'header = "Authorization: Bearer %s"\n' "${API_KEY:-}") \
        ${3:+--header "Content-Type: application/json" --data "$3"} \
        --fail-with-body "$SERVER/api/v1/$2"
}

# json EXPRESSION: Python, of the document `it` on standard input.
json() { python3 -c "import json,sys; it = json.load(sys.stdin); print($1)"; }

nodes() { hs nodes list --output json; }
keys() { hs preauthkeys list --output json; }
routes() { hs nodes list-routes --output json; }

# set_policy: the policy on standard input holds from now on.
set_policy() {
    cat >"$HEAD/policy.hujson"
    hs policy set --file "$HEAD/policy.hujson" >"$HEAD/policy.out" 2>&1 ||
        fail "the policy is refused: $(cat "$HEAD/policy.out")"
}

# make_auth_key TAG: a key for one ephemeral node, on standard output.
make_auth_key() {
    api POST preauthkey "{\"ephemeral\":true,\"reusable\":false,\"aclTags\":[\"$1\"],
        \"expiration\":\"$(date -u -d '+10 minutes' +%Y-%m-%dT%H:%M:%SZ)\"}" |
        json 'it["preAuthKey"]["key"]'
}

# no_node_left: the server knows of no node of ours; no_key_left: of no key that still opens.
no_node_left() { [ "$(api GET node | json 'len(it["nodes"])')" = 0 ]; }
