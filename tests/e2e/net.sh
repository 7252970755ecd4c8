# A jump host, a bastion and a private network, each a network namespace of the suite's own.
# Sourced by the walks that need them.
#
#   jump 10.91.0.1 ── 10.91.0.2 bastion 10.20.0.1 ── 10.20.0.7 inner (PostgreSQL, an sshd, an echo)
#
# The jump host has no route into 10.20.0.0/24.

NET=bge$$
JUMP=$NET-j BASTION=$NET-b INNER=$NET-p
OPS=bg-e2e-ops

in_net() { local net=$1; shift; ip netns exec "$net" "$@"; }

make_net() {
    local net
    for net in $JUMP $BASTION $INNER; do
        ip netns add "$net"
        in_net "$net" ip link set lo up
    done
    ip link add "$NET-jb" netns "$JUMP" type veth peer name "$NET-bj" netns "$BASTION"
    ip link add "$NET-bp" netns "$BASTION" type veth peer name "$NET-pb" netns "$INNER"
    in_net "$JUMP" ip addr add 10.91.0.1/24 dev "$NET-jb"
    in_net "$BASTION" ip addr add 10.91.0.2/24 dev "$NET-bj"
    in_net "$BASTION" ip addr add 10.20.0.1/24 dev "$NET-bp"
    in_net "$INNER" ip addr add 10.20.0.7/24 dev "$NET-pb"
    in_net "$JUMP" ip link set "$NET-jb" up
    in_net "$BASTION" ip link set "$NET-bj" up
    in_net "$BASTION" ip link set "$NET-bp" up
    in_net "$INNER" ip link set "$NET-pb" up
    in_net "$INNER" ip route add default via 10.20.0.1
}

cut_link() { in_net "$JUMP" ip link set "$NET-jb" down; }
mend_link() { in_net "$JUMP" ip link set "$NET-jb" up; }

# remove_net: every process in the namespaces is of the suite's own.
remove_net() {
    local net pid
    for net in $JUMP $BASTION $INNER; do
        for pid in $(ip netns pids "$net" 2>/dev/null || true); do
            kill -9 "$pid" 2>/dev/null || true
        done
        ip netns del "$net" 2>/dev/null || true
    done
    userdel "$OPS" 2>/dev/null || true
}

# make_host_key FOLDER: the host keys of an sshd.
make_host_key() {
    mkdir -p "$1"
    rm -f "$1/host_key" "$1/host_key.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$1/host_key"
}

# start_sshd NAME NET ADDRESS: an sshd that knows the keys in $WORK/sshd-NAME/authorized_keys.
start_sshd() {
    local name=$1 net=$2 address=$3 dir=$WORK/sshd-$1
    mkdir -p "$dir" /run/sshd
    [ -f "$dir/host_key" ] || make_host_key "$dir"
    touch "$dir/authorized_keys"
    chmod 755 "$dir"
    chmod 644 "$dir/authorized_keys"
    cat >"$dir/config" <<CONF
ListenAddress $address:22
HostKey $dir/host_key
PidFile $dir/pid
AuthorizedKeysFile $dir/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
MaxSessions 200
LogLevel VERBOSE
$(cat "$dir/more" 2>/dev/null || true)
CONF
    in_net "$net" /usr/sbin/sshd -f "$dir/config" -E "$dir/log"
    for _ in $(seq 1 100); do
        [ -s "$dir/pid" ] && return
        sleep 0.05
    done
    fail "sshd $name did not start: $(cat "$dir/log")"
}

# stop_sshd NAME: it, and every connection through it.
stop_sshd() {
    local pid dir=$WORK/sshd-$1 net=$2
    for pid in $(ip netns pids "$net"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
            sshd*) kill -9 "$pid" 2>/dev/null || true ;;
        esac
    done
    rm -f "$dir/pid"
}

# start_inner_postgres: a PostgreSQL that only the private network sees.
start_inner_postgres() {
    local bin data=$WORK/inner
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    mkdir -p "$data"
    chown postgres:postgres "$data"
    setpriv --reuid postgres --regid postgres --clear-groups \
        "$bin/initdb" -D "$data/db" -U ana --auth=trust >/dev/null
    echo "host all all 10.20.0.0/24 trust" >>"$data/db/pg_hba.conf"
    in_net "$INNER" setpriv --reuid postgres --regid postgres --clear-groups \
        "$bin/postgres" -D "$data/db" -p 5432 -k "$data" -h 10.20.0.7 \
        -c fsync=off -c max_connections=200 >"$data/log" 2>&1 &
    for _ in $(seq 1 300); do
        in_net "$INNER" psql -h 10.20.0.7 -U ana postgres -c 'select 1' >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "the inner PostgreSQL did not start: $(cat "$data/log")"
}

# at_jump USER COMMAND...: something as another UNIX user, on the jump host.
at_jump() {
    local user=$1
    shift
    in_net "$JUMP" setpriv --reuid "$user" --regid "$user" --clear-groups \
        env -i HOME="$WORK/home-$user" PATH="$PATH" TERM="${E2E_TERM:-xterm-256color}" \
        LANG=C.UTF-8 XDG_RUNTIME_DIR="$WORK/run-$user" "$@"
}
