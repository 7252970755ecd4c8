# MODE USER NAME [RUN...]: a transient unit of the system's manager, or with `--user` of the user's.
# `start` reads the variables of the unit, as an EnvironmentFile has them.
mode=$1 user=$2 name=$3
shift 3
umask 077
# A folder of its own: that of the engine of a host belongs to the engine's user.
folder=/run/breakglass-launch
if [ -n "$user" ]; then
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
    folder=$XDG_RUNTIME_DIR/breakglass-launch
fi
file=$folder/$name.env

# Through a link, or in a folder of somebody else's, nothing is written or removed.
is_own() { [ -O "$folder" ] && [ ! -L "$folder" ]; }

case $mode in
start)
    [ -e "$folder" ] || mkdir -p "$folder" || exit 1
    if ! is_own; then
        echo "$folder is not a folder of this user alone" >&2
        exit 1
    fi
    (set -C && : >"$file") || exit 1
    # The manager has read it once the program runs; it is gone before anybody else is told.
    trap 'rm -f -- "$file"' EXIT
    trap 'exit 1' HUP INT TERM
    cat >"$file" || exit 1
    # shellcheck disable=SC2086 # It is nothing, or `--user`.
    systemd-run $user --unit="$name" --property=EnvironmentFile="$file" "$@"
    ;;
see)
    # shellcheck disable=SC2086
    state=$(systemctl $user show --property=LoadState --property=ActiveState "$name.service") ||
        exit 1
    case $state in
    *ActiveState=active* | *ActiveState=activating* | *ActiveState=reloading*) echo runs ;;
    *LoadState=not-found*) if is_own && [ -e "$file" ]; then echo left; else echo absent; fi ;;
    *LoadState=*) echo left ;;
    *) exit 1 ;;
    esac
    ;;
stop)
    if is_own; then rm -f -- "$file"; fi
    # shellcheck disable=SC2086
    systemctl $user stop "$name.service"
    code=$?
    # It is not known (any more).
    [ "$code" = 5 ] && code=0
    # shellcheck disable=SC2086
    systemctl $user reset-failed "$name.service" 2>/dev/null
    exit "$code"
    ;;
logs)
    journalctl "--${user:+user-}unit=$name.service" --lines=20 --output=cat --no-pager --quiet
    ;;
list)
    # shellcheck disable=SC2086
    units=$(systemctl $user list-units --all --plain --no-legend --full "$name*.service") || exit 1
    printf '%s\n' "$units" | while read -r unit _; do echo "${unit%.service}"; done
    for file in "$folder/$name"*.env; do
        file=${file##*/}
        echo "${file%.env}"
    done
    ;;
esac
