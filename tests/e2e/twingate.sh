# Two networks of Twingate of the suite's own, `acme` and `globex`: their cloud on the control host of
# hub.sh, a client of each on the operator's host, and connectors on the site's, all of them played by
# tests/e2e/cloud. Sourced after lib.sh, net.sh and hub.sh by the walks that need it.

CLOUD=$WORK/cloud CA=$WORK/cloud/ca.pem
GROUP="On call"

# make_names: every host knows the networks' names, and one of which there is no network.
make_names() {
    local net
    for net in $JUMP $SITE $CONTROL; do
        mkdir -p "/etc/netns/$net"
        printf '127.0.0.1 localhost\n%s acme.twingate.com globex.twingate.com acne.twingate.com\n' \
            "$CONTROL_ADDRESS" >"/etc/netns/$net/hosts"
    done
}

# cloud NETWORK WORD...: asks the cloud, as tests/e2e/cloud/cloud.rs has it.
cloud() { in_net "$CONTROL" "$TWINGATE_CLOUD" ask "$1.twingate.com" "${@:2}"; }

# start_cloud: both networks, each with a group; the authority of their certificates is $CA.
start_cloud() {
    mkdir -p "$CLOUD" "$ROOM/site"
    chmod 755 "$CLOUD" "$ROOM/site"
    printf '#!/bin/sh\nexec %s connector\n' "$TWINGATE_CLOUD" >"$ROOM/site/twingate-connector"
    chmod 755 "$ROOM/site/twingate-connector"
    in_net "$CONTROL" "$TWINGATE_CLOUD" cloud "$CONTROL_ADDRESS" "$CLOUD" >"$CLOUD/log" 2>&1 9>&- &
    disown
    until_true "the cloud listens" cloud acme group 3 "$GROUP"
    cloud globex group 2 "$GROUP"
    chmod 644 "$CA"
}

# start_client NETWORK PORT: a client of a member of the group, with its proxy at that port.
start_client() {
    in_net "$JUMP" "$TWINGATE_CLOUD" client "$1.twingate.com" "127.0.0.1:$2" "$GROUP" \
        >"$CLOUD/client-$1.log" 2>&1 9>&- &
    disown
    until_true "the client in $1 listens" in_net "$JUMP" sh -c "ss -ltn | grep -q 127.0.0.1:$2"
}

# connector_of SHORT: the process of a session's connector in the site.
connector_of() {
    local pid
    for pid in $(pgrep -u "$OPS" -f "$TWINGATE_CLOUD connector"); do
        tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "TWINGATE_LABEL_SESSION=$1" && echo "$pid"
    done
}

# left NETWORK: what is in it; is_empty: nothing is in any.
left() { cloud "$1" left; }
is_empty() { [ -z "$(left acme)$(left globex)" ]; }

remove_twingate() {
    local net
    for net in $JUMP $SITE $CONTROL; do rm -rf "/etc/netns/$net"; done
    rmdir /etc/netns 2>/dev/null || true
    remove_hub_net
}
