# An operator's host, a site and a server, joined by a router, each a network namespace of the suite's
# own. Sourced after lib.sh and net.sh by the walks that need it.
#
#   operator 10.92.0.2 ──┐                  ┌── 10.93.0.2 site 10.20.0.1 ── 10.20.0.7 inner
#                        └── hub (a router) ┘
#                             │
#                         10.94.0.2 control (the server)
#
# The operator's host has no route into 10.20.0.0/24, and nobody one to the Internet. Of what net.sh
# calls the jump host and the bastion, the one is the operator's host here and the other the site's.

HUB=$NET-h CONTROL=$NET-c
SITE=$BASTION SITE_ADDRESS=10.93.0.2
CONTROL_ADDRESS=10.94.0.2

# join_net NET END ADDRESS TO_NET TO_END TO_ADDRESS: a link, a /24, between two namespaces.
join_net() {
    ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
    in_net "$1" ip addr add "$3/24" dev "$2"
    in_net "$4" ip addr add "$6/24" dev "$5"
    in_net "$1" ip link set "$2" up
    in_net "$4" ip link set "$5" up
}

make_hub_net() {
    local net
    for net in $HUB $CONTROL $JUMP $SITE $INNER; do
        ip netns add "$net"
        in_net "$net" ip link set lo up
    done
    join_net "$JUMP" "$NET-jh" 10.92.0.2 "$HUB" "$NET-hj" 10.92.0.1
    join_net "$SITE" "$NET-bh" $SITE_ADDRESS "$HUB" "$NET-hb" 10.93.0.1
    join_net "$CONTROL" "$NET-ch" $CONTROL_ADDRESS "$HUB" "$NET-hc" 10.94.0.1
    join_net "$SITE" "$NET-bp" 10.20.0.1 "$INNER" "$NET-pb" 10.20.0.7
    in_net "$HUB" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    # Only what is named: no default route, so that nothing looks like the Internet.
    in_net "$JUMP" ip route add 10.93.0.0/24 via 10.92.0.1
    in_net "$JUMP" ip route add 10.94.0.0/24 via 10.92.0.1
    in_net "$SITE" ip route add 10.92.0.0/24 via 10.93.0.1
    in_net "$SITE" ip route add 10.94.0.0/24 via 10.93.0.1
    in_net "$CONTROL" ip route add 10.92.0.0/24 via 10.94.0.1
    in_net "$CONTROL" ip route add 10.93.0.0/24 via 10.94.0.1
}

# cut_host NET, mend_host NET: one host is cut off (the operator's, the site's, the server's) and is back. The
# private side of the site stays as it is. What is in the hub keeps its routes.
hub_end() {
    case $1 in
    "$JUMP") echo "$NET-hj" ;;
    "$SITE") echo "$NET-hb" ;;
    "$CONTROL") echo "$NET-hc" ;;
    esac
}
cut_host() { in_net "$HUB" ip link set "$(hub_end "$1")" down; }
mend_host() { in_net "$HUB" ip link set "$(hub_end "$1")" up; }

remove_hub_net() {
    local net pid
    for net in $HUB $CONTROL; do
        for pid in $(ip netns pids "$net" 2>/dev/null || true); do
            kill -9 "$pid" 2>/dev/null || true
        done
        ip netns del "$net" 2>/dev/null || true
    done
    remove_net
}
