#!/usr/bin/env bash
# A thousand connections at once through one endpoint, all cut when the session ends.

. "$(dirname "$0")/lib.sh"
make_user "$OPERATOR"
STATE=$WORK/home-$OPERATOR/.local/state/breakglass
chown -R "$OPERATOR:$OPERATOR" "$WORK/home-$OPERATOR"

real=$(python3 -c "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])")
socat "TCP-LISTEN:$real,bind=127.0.0.1,reuseaddr,fork,backlog=1024,max-children=1200" EXEC:cat \
    2>/dev/null &
target=$!
trap 'kill $target 2>/dev/null || true' EXIT
until_true "the target listens" sh -c "ss -ltn | grep -q 127.0.0.1:$real"
become_owner
id=$(bg open --address "127.0.0.1:$real" --kind tcp --reason "INC-10" --json | field id)
port=$(port_of "$id")

cat >"$WORK/many.py" <<'PY'
import resource, socket, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
sockets = []
for number in range(1000):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
    s.sendall(b"x")
    assert s.recv(1) == b"x", number
    sockets.append(s)
print("open", flush=True)
sys.stdin.readline()
cut = 0
for s in sockets:
    try:
        cut += s.recv(1) == b""
    except OSError:
        cut += 1
print("cut", cut, flush=True)
PY
mkfifo "$WORK/go"
chmod 666 "$WORK/go"
as "$OPERATOR" python3 "$WORK/many.py" "$port" <"$WORK/go" >"$WORK/many.out" 2>&1 &
many=$!
exec 3>"$WORK/go"
for _ in $(seq 1 600); do grep -q open "$WORK/many.out" && break; sleep 0.1; done
grep -q open "$WORK/many.out" || { cat "$WORK/many.out"; fail "a thousand connections did not open"; }
ok "a thousand connections carry bytes at once"
check "the session ends" bg end "$id"
echo >&3
wait "$many"
grep -q "cut 1000" "$WORK/many.out" || { cat "$WORK/many.out"; fail "not all were cut"; }
ok "and all of them are cut"
bg show "$id" | grep -q "of 1000 connections" || fail "not all were counted"
ok "and counted"
check "the audit chain holds" bg audit verify
