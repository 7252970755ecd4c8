#!/usr/bin/env bash
# launchers with the real programs: an SSH server, Podman, systemd, each where a probe finds it
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
top=$(cd "$here/../.." && pwd)

HOST_USER=bg-e2e-host
missing=()
for pair in sshd:openssh-server podman:podman crun:crun runc:runc busybox:busybox-static; do
    PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "  installing: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
fi

leave() {
    [ -f "$WORK/sshd.pid" ] && kill "$(cat "$WORK/sshd.pid")" 2>/dev/null || true
    podman rmi --force localhost/bg-e2e:1 >/dev/null 2>&1 || true
    userdel "$HOST_USER" 2>/dev/null || true
}
trap leave EXIT

# A host without systemd: this one, over an SSH server of the suite's own.
id "$HOST_USER" >/dev/null 2>&1 || useradd --system --no-create-home --shell /bin/sh "$HOST_USER"
usermod -p "*" "$HOST_USER" # Without a password, and not locked.
ssh-keygen -q -t ed25519 -N '' -f "$WORK/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
cp "$WORK/key.pub" "$WORK/authorized"
chmod 644 "$WORK/authorized"
port=$(python3 -c "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])")
cat >"$WORK/sshd_config" <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey $WORK/host_key
AuthorizedKeysFile $WORK/authorized
AllowUsers $HOST_USER
PidFile $WORK/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
CONFIG
mkdir -p /run/sshd
/usr/sbin/sshd -f "$WORK/sshd_config" -E "$WORK/sshd.log"
echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$WORK/host_key.pub")" >"$WORK/known_hosts"
at="$HOST_USER@127.0.0.1:$port $WORK/key $WORK/known_hosts"
if [ -d /run/systemd/system ]; then
    say "  probe: systemd runs here: the host without it is not tried"
else
    say "  probe: an SSH server on port $port, no systemd"
    export BREAKGLASS_E2E_HOST=$at
fi

# Podman, with an image of this host's own busybox.
mkdir -p "$WORK/image/bin" "$WORK/image/tmp"
cp "$(command -v busybox)" "$WORK/image/bin/busybox"
for applet in sh sleep touch echo true; do ln -s busybox "$WORK/image/bin/$applet"; done
# Where systemd does not run, crun cannot have its cgroups and runc can.
if [ ! -d /run/systemd/system ]; then
    printf '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\n' \
        >"$WORK/containers.conf"
    export CONTAINERS_CONF=$WORK/containers.conf
fi
if tar -C "$WORK/image" -c . | podman import -q - localhost/bg-e2e:1 >"$WORK/podman.out" 2>&1 &&
    podman run --rm localhost/bg-e2e:1 true >>"$WORK/podman.out" 2>&1; then
    say "  probe: containers run here"
    export BREAKGLASS_E2E_PODMAN_IMAGE=localhost/bg-e2e:1
else
    say "  probe: no containers here: $(tail -n 1 "$WORK/podman.out")"
fi

# systemd, where it is the first process and its manager is to be had.
if systemd-run --collect --wait --quiet true 2>"$WORK/systemd.out"; then
    say "  probe: systemd runs here"
    sed -i "s/^AllowUsers.*/& root/" "$WORK/sshd_config"
    kill -HUP "$(cat "$WORK/sshd.pid")"
    export BREAKGLASS_E2E_SYSTEMD_HOST="root@127.0.0.1:$port $WORK/key $WORK/known_hosts"
else
    say "  probe: no systemd here: $(tail -n 1 "$WORK/systemd.out")"
fi

cd "$top"
check "what is started is found, listed, stopped and seen gone" \
    cargo test --quiet --locked --test it launcher_ -- --nocapture
check "nothing of it is left on the host" \
    sh -c "! pgrep -u $HOST_USER && ! ls -d /tmp/bg-* 2>/dev/null"
