# MARK SECONDS PROGRAM...: holds a program until its time is over, and ends all that it has started.
mark=$1 seconds=$2
shift 2
pattern="[B]REAKGLASS_LAUNCH=$mark"
home=/tmp/$mark
trap '' HUP

others() {
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        if [ "$pid" != "$$" ] && [ -O "$process" ] &&
            cat "$process/cmdline" "$process/environ" 2>/dev/null | tr '\0' '\n' |
            grep -q -- "$pattern"; then
            echo "$pid"
        fi
    done
}

# What it says is kept up to a megabyte; the rest is read and dropped, so that it is never stuck.
{
    dd bs=512 count=2000 of="$home/log" 2>/dev/null
    cat >/dev/null
} <"$home/out" &
timeout -k 10 "$seconds" "$@" >"$home/out" 2>&1
# From now on it is seen not to run, and why can be read.
echo "$?" >"$home/ended"
for signal in TERM KILL; do
    # shellcheck disable=SC2046 # Numbers, one a word.
    kill -s "$signal" $(others) 2>/dev/null
    [ "$signal" = KILL ] || sleep 2
done
# What it said can be read for a while; then nothing of it is left.
sleep 60
while IFS= read -r folder; do rm -rf -- "$folder"; done <"$home/folders"
rm -rf -- "$home"
