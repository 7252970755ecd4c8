# What the end-to-end walks share. Sourced by run.sh and by each walk.

set -euo pipefail

passed=0

say() { printf '%s\n' "$*"; }

# ok NAME: a check has held.
ok() {
    passed=$((passed + 1))
    say "  ok   $*"
}

# fail WHAT: the walk is over, and everything that helps to see why is shown.
fail() {
    say "  FAIL $*"
    if [ -n "${STATE:-}" ]; then
        say "--- the engine's log"
        tail -n 40 "$STATE"/breakglass*.log 2>/dev/null || true
    fi
    exit 1
}

# check NAME COMMAND...: the command must succeed.
check() {
    local name=$1
    shift
    if "$@" >"$WORK/check.out" 2>&1; then
        ok "$name"
    else
        cat "$WORK/check.out"
        fail "$name: $*"
    fi
}

# refuse NAME CODE COMMAND...: the command must end with this exit code.
refuse() {
    local name=$1 code=$2 got=0
    shift 2
    "$@" >"$WORK/check.out" 2>&1 || got=$?
    if [ "$got" = "$code" ]; then
        ok "$name"
    else
        cat "$WORK/check.out"
        fail "$name: exit code $got instead of $code: $*"
    fi
}

# says NAME TEXT: the last check printed this.
says() {
    if grep -qF -- "$2" "$WORK/check.out"; then
        ok "$1"
    else
        cat "$WORK/check.out"
        fail "$1: it does not say: $2"
    fi
}

# until_true NAME COMMAND...: waits for a state, half a minute at the most.
until_true() {
    local name=$1
    shift
    for _ in $(seq 1 300); do
        if "$@" >"$WORK/until.out" 2>&1; then
            ok "$name"
            return
        fi
        sleep 0.1
    done
    cat "$WORK/until.out"
    fail "$name: never became true: $*"
}

# as USER COMMAND...: runs something as another UNIX user, with a home and a runtime directory.
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups \
        env -i HOME="$WORK/home-$user" PATH="$PATH" TERM="${E2E_TERM:-xterm-256color}" \
        LANG=C.UTF-8 XDG_RUNTIME_DIR="$WORK/run-$user" "$@"
}

# bg ARGS...: the program, as the operator.
bg() { as "$OPERATOR" "$BREAKGLASS" "$@"; }

# field NAME: a field of the one session in a JSON document on standard input.
field() { python3 -c "import json,sys; print(json.load(sys.stdin)['session']['$1'])"; }

# port_of ID: the port of a session's local endpoint.
port_of() {
    bg show "$1" --json | python3 -c \
        "import json,sys; print(json.load(sys.stdin)['session']['endpoint']['port'])"
}

# make_user NAME: a UNIX user of the suite's own.
make_user() {
    id "$1" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$1"
    mkdir -p "$WORK/home-$1" "$WORK/run-$1"
    chown "$1:$1" "$WORK/home-$1" "$WORK/run-$1"
    chmod 700 "$WORK/home-$1" "$WORK/run-$1"
}

# no_engine_left: no process of the operator runs this program.
no_engine_left() { ! pgrep -u "$OPERATOR" -f "$BREAKGLASS" >/dev/null; }
