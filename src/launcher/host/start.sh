# SUPERVISE MARK SECONDS COUNT FOLDER... PROGRAM...: starts a program that ends in time. Reads its
# variables, a line each, up to an empty one.
supervise=$1 mark=$2 seconds=$3 count=$4
shift 4
umask 077
home=/tmp/$mark
refuse() {
    echo "$*" >&2
    if [ -e "$home/folders" ]; then
        while IFS= read -r folder; do rm -rf -- "$folder"; done <"$home/folders"
    fi
    rm -rf -- "$home"
    exit 1
}
# It is ours alone, or nothing is started: others may write to /tmp too.
if ! mkdir "$home"; then
    exit 1
fi
: >"$home/folders"
while [ "$count" -gt 0 ]; do
    # Only what was made here is removed later.
    if mkdir -- "$1" 2>/dev/null; then
        printf '%s\n' "$1" >>"$home/folders"
    elif [ ! -d "$1" ] || [ ! -w "$1" ]; then
        refuse "the folder $1 can neither be made nor be written to"
    fi
    shift
    count=$((count - 1))
done
for tool in timeout mkfifo dd "$1"; do
    command -v "$tool" >/dev/null || refuse "there is no program $tool"
done
mkfifo "$home/out" || refuse "no pipe can be made below /tmp"
while IFS= read -r line && [ -n "$line" ]; do
    export "$line"
done
export BREAKGLASS_LAUNCH="$mark"
# What it writes anywhere goes with this.
export TMPDIR="$home"
# It reads nothing and holds no output, so nobody waits for it.
sh -c "$supervise" "BREAKGLASS_LAUNCH=$mark" "$mark" "$seconds" "$@" </dev/null >/dev/null 2>&1 &
