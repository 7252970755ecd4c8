# TIMER NAME SECONDS SUDO ENGINE RUN...: starts a timer where there is to be one, then the container.
timer=$1 name=$2 seconds=$3 sudo=$4 engine=$5
shift 5
if [ -n "$timer" ]; then
    if ! command -v setsid >/dev/null; then
        echo "there is no setsid (util-linux), which the timer needs" >&2
        exit 1
    fi
    # The timer reads nothing and holds no output, so nobody waits for it.
    BREAKGLASS_LAUNCH=$name setsid sh -c "$timer" "BREAKGLASS_LAUNCH=$name" \
        "$name" "$seconds" "$sudo" "$engine" </dev/null >/dev/null 2>&1 &
fi
# What ssh gives to read is a socket, which cannot be opened by a name; a pipe can.
cat | "$@"
