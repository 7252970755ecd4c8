# A PostgreSQL of the suite's own, on a free loopback port. Sourced by run.sh.

start_postgres() {
    local bin data
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    data=$ROOM/postgres
    mkdir -p "$data"
    chown postgres:postgres "$data"
    PGPORT_REAL=$(python3 -c \
        "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])")
    export PGPORT_REAL
    setpriv --reuid postgres --regid postgres --clear-groups \
        "$bin/initdb" -D "$data/db" -U ana --auth=trust >/dev/null
    setpriv --reuid postgres --regid postgres --clear-groups \
        "$bin/postgres" -D "$data/db" -p "$PGPORT_REAL" -k "$data" -h 127.0.0.1 \
        -c fsync=off >"$data/log" 2>&1 &
    echo $! >"$ROOM/postgres.pid"
    for _ in $(seq 1 300); do
        psql -h 127.0.0.1 -p "$PGPORT_REAL" -U ana postgres -c 'select 1' >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$data/log"
    say "PostgreSQL did not start"
    exit 1
}
