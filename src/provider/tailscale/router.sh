# The subnet router of one session, in userspace: it joins the tailnet with a key that works once,
# advertises routes, and stays until it is ended; then it is logged out and leaves no file.
# Reads TS_AUTHKEY, TS_ROUTES, TS_HOSTNAME, and TS_LOGIN_SERVER where that is not Tailscale's.
umask 077
key=${TS_AUTHKEY-}
unset TS_AUTHKEY
room='' daemon='' join=''

# refuse WHY: its last line says why it is over.
refuse() {
    leave
    echo "router: $*" >&2
    exit 1
}

# leave: the daemon logs out, as its state is in memory only, and ends.
leave() {
    trap '' HUP INT TERM
    [ -z "$join" ] || kill "$join" 2>/dev/null
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon"
    fi
    [ -z "$room" ] || rm -rf -- "$room"
}

for tool in tailscaled tailscale mktemp; do
    command -v "$tool" >/dev/null || refuse "there is no program $tool here"
done
[ -n "$key" ] || refuse "TS_AUTHKEY is not set"
[ -n "${TS_ROUTES-}" ] || refuse "TS_ROUTES is not set"
[ -n "${TS_HOSTNAME-}" ] || refuse "TS_HOSTNAME is not set"

trap 'leave; exit 0' HUP INT TERM
room=$(mktemp -d "${TMPDIR:-/tmp}/ts.XXXXXX") || refuse "no folder can be made"
tailscaled --tun=userspace-networking --state=mem: --statedir="$room" --socket="$room/sock" \
    --port=0 --no-logs-no-support >&2 &
daemon=$!

printf '%s\n' "$key" >"$room/key" || refuse "no file can be written"
key=
tailscale --socket="$room/sock" up --auth-key="file:$room/key" --hostname="$TS_HOSTNAME" \
    --advertise-routes="$TS_ROUTES" ${TS_LOGIN_SERVER:+--login-server="$TS_LOGIN_SERVER"} \
    --accept-dns=false --timeout=60s >"$room/said" 2>&1 &
join=$!
wait "$join"
code=$?
join=''
rm -f -- "$room/key"
if [ "$code" != 0 ]; then
    why=$(grep . "$room/said" | tail -n 1)
    # Where it has only waited, the daemon knows for what.
    error=$(tailscale --socket="$room/sock" status --json 2>/dev/null |
        sed -n 's/.*last login error was: \(.*\)",\{0,1\}$/\1/p')
    why="${why:-tailscale ended with code $code}${error:+ ($error)}"
    refuse "it cannot join the tailnet: $why"
fi
echo "router: it has joined the tailnet" >&2

wait "$daemon"
code=$?
daemon=''
refuse "tailscaled has ended by itself, with code $code"
