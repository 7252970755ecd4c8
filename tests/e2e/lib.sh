# What the end-to-end walks share. Sourced by run.sh and by each walk.

set -euo pipefail

passed=0
# Where a walk speaks to, also while a check keeps what a command prints.
exec 9>&1

say() { printf '%s\n' "$*"; }

# ok NAME: a check has held.
ok() {
    passed=$((passed + 1))
    say "  ok   $*"
}

# fail WHAT: the walk is over, and everything that helps to see why is shown.
fail() {
    exec >&9
    say "  FAIL $*"
    if declare -F mux >/dev/null; then
        say "--- the screen"
        mux capture-pane -p -t walk 2>/dev/null || true
    fi
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
    local got=0
    "$@" >"$WORK/check.out" 2>&1 || got=$?
    cat "$WORK/check.out" >>"$WORK/said.out"
    if [ "$got" = 0 ]; then
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
    cat "$WORK/check.out" >>"$WORK/said.out"
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

# What the walks type where a secret is asked for. All of it holds one word that stands nowhere else,
# so that it can be looked for.
OWNER=ana@example.com
CANARY=wq7-vole-canary
PASSWORD="$CANARY of the Owner"

# become_owner [ARGS...]: the operator becomes the first Owner, signed in at this terminal.
become_owner() {
    printf '%s\n' "$PASSWORD" >"$WORK/typed"
    check "the operator becomes the first Owner" \
        bg "$@" init --email "$OWNER" --password-stdin <"$WORK/typed"
    rm "$WORK/typed"
}

# sign_in EMAIL PASSWORD [ARGS...]: somebody signs in at this terminal; its exit code is passed on.
sign_in() {
    local email=$1 password=$2
    shift 2
    printf '%s\n' "$password" | bg "$@" login --email "$email" --password-stdin
}

# press KEYS...: presses keys in the walk's terminal. The walk says what `mux` is.
press() { mux send-keys -t walk "$@"; }

# type_in TEXT: types it as it stands, and presses Enter.
type_in() {
    press -l -- "$1"
    press Enter
}

# sign_in_at_screens: the Owner answers the sign-in screen. The walk says what it `shows`.
sign_in_at_screens() {
    until_true "the screens ask who it is" shows "enter sign in"
    type_in "$OWNER"
    type_in "$PASSWORD"
    until_true "and show what there is to whom they know" shows "Break-Glass Users"
}

# watch_processes: notes what anybody could read of the operator's processes, until the walk ends.
watch_processes() {
    while sleep 0.05; do
        ps -ww -u "$OPERATOR" -o args= || true
        cat $(pgrep -u "$OPERATOR" | sed 's,.*,/proc/&/environ,') </dev/null | tr '\0' '\n' || true
    done >"$WORK/processes.out" 2>/dev/null &
    watcher=$!
}

stop_watching() { kill "${watcher:-}" 2>/dev/null || true; }

# nowhere NAME SECRET: it stands, plain or in base64, in no file of the operator's (state, journal,
# log, configuration, sign-in), in nothing that was printed, nowhere in the audit, and in no
# process's arguments or environment.
nowhere() {
    bg audit tail -n 1000 --json >"$WORK/audit.json" 2>&1 || true
    if python3 - "$2" "$WORK" <<'PY' >"$WORK/nowhere.out"; then
import base64, os, sys
secret, room = sys.argv[1].encode(), sys.argv[2]
forms = [secret] + [base64.b64encode(secret[cut:len(secret) - (len(secret) - cut) % 3]) for cut in range(3)]
read, bad = 0, []
for folder, _, names in os.walk(room):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            data = open(path, "rb").read()
            read += 1
            bad += [path] if any(form in data for form in forms) else []
print(read, "files;", *bad)
sys.exit(bool(bad) or read < 8)
PY
        ok "$1 ($(wc -l <"$WORK/processes.out") lines of processes)"
    else
        fail "$1: $(cat "$WORK/nowhere.out")"
    fi
}

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
