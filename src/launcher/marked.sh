# see|end PATTERN, list PATTERN: the processes of this user that bear a mark in their arguments or
# their environment, and the folder of that name below /tmp. The pattern is
# `[B]REAKGLASS_LAUNCH=bg-...`: it does not match itself, so what looks for a mark is never found.
mode=$1 pattern=$2
mark=${pattern#*=}

texts() {
    cat "$1/cmdline" "$1/environ" 2>/dev/null | tr '\0' '\n'
}

marked() {
    # A grep that reads on behind a NUL sees all at once; busybox has none.
    if printf 'a\0b' | grep -qa b 2>/dev/null; then
        files=$(grep -las -- "$pattern" /proc/[0-9]*/cmdline /proc/[0-9]*/environ)
        for file in $files; do
            [ -O "${file%/*}" ] && echo "$file" | cut -d/ -f3
        done | sort -u
        return
    fi
    for process in /proc/[0-9]*; do
        if [ -O "$process" ] && texts "$process" | grep -q -- "$pattern"; then
            echo "${process#/proc/}"
        fi
    done
}

# Others may write to /tmp too: what they made there says nothing, and is left alone.
is_own() { [ -O "$1" ] && [ ! -L "$1" ]; }

pause() { sleep 0.5 2>/dev/null || sleep 1; }

case $mode in
see)
    if is_own "/tmp/$mark" && [ -e "/tmp/$mark/ended" ]; then
        echo left
    elif [ -n "$(marked)" ]; then
        echo runs
    elif is_own "/tmp/$mark"; then
        echo left
    else
        echo absent
    fi
    ;;
end)
    for signal in TERM KILL; do
        # A router logs out first, which may take it ten seconds.
        tries=24
        while pids=$(marked) && [ -n "$pids" ] && [ "$tries" -gt 0 ]; do
            # shellcheck disable=SC2086 # Numbers, one a word.
            [ "$tries" -gt 23 ] || [ "$signal" = KILL ] && kill -s "$signal" $pids 2>/dev/null
            tries=$((tries - 1))
            pause
        done
    done
    if [ -n "$(marked)" ]; then
        echo "it does not end, not even by SIGKILL" >&2
        exit 1
    fi
    # Of others nothing is removed, whatever they called it; of ours what we made.
    if is_own "/tmp/$mark"; then
        if [ -e "/tmp/$mark/folders" ]; then
            while IFS= read -r folder; do rm -rf -- "$folder"; done <"/tmp/$mark/folders"
        fi
        rm -rf -- "/tmp/$mark"
    fi
    ;;
list)
    for process in /proc/[0-9]*; do
        [ -O "$process" ] && texts "$process"
    done | grep -o -- "$pattern[0-9a-f]*-[0-9a-f]*" | sort -u | sed 's/.*=//'
    for folder in "/tmp/$mark"*; do
        is_own "$folder" && echo "${folder#/tmp/}"
    done
    exit 0
    ;;
esac
