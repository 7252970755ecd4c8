# The connector of one session: it runs until it is ended, and leaves no file.
# Reads TWINGATE_URL, TWINGATE_ACCESS_TOKEN and TWINGATE_REFRESH_TOKEN.
umask 077
room='' connector=''

# refuse WHY: its last line says why it is over.
refuse() {
    leave
    echo "connector: $*" >&2
    exit 1
}

leave() {
    trap '' HUP INT TERM
    if [ -n "$connector" ]; then
        kill "$connector" 2>/dev/null
        wait "$connector"
    fi
    [ -z "$room" ] || rm -rf -- "$room"
}

for tool in twingate-connector mktemp; do
    command -v "$tool" >/dev/null || refuse "there is no program $tool here"
done
for name in TWINGATE_URL TWINGATE_ACCESS_TOKEN TWINGATE_REFRESH_TOKEN; do
    eval "[ -n \"\${$name-}\" ]" || refuse "$name is not set"
done

trap 'leave; exit 0' HUP INT TERM
room=$(mktemp -d "${TMPDIR:-/tmp}/tg.XXXXXX") || refuse "no folder can be made"
# Its usual socket belongs to the connector that the package of the vendor runs.
TWINGATE_API_ENDPOINT=$room/connector.sock twingate-connector >&2 &
connector=$!
unset TWINGATE_ACCESS_TOKEN TWINGATE_REFRESH_TOKEN
wait "$connector"
code=$?
connector=''
refuse "twingate-connector has ended by itself, with code $code"
