# shellcheck shell=bash
# What scripts/run and scripts/test share: the set-up of a fresh machine.
#
# Written for bash 3.2 too, which is what macOS has.

POSTGRES_MIN=15

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# Runs a command as root: directly, or by sudo where somebody can answer it.
as_root() {
    if is_root; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        die "root is needed for: $* (and there is no sudo)"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# --- The Rust toolchain -------------------------------------------------------------------------

need_rust() {
    # rustup puts its programs there, but the shell that calls us may not have read its profile.
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
        export PATH
    fi
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        die "the Rust toolchain is missing. Install it from https://rustup.rs:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
and run this script again."
    fi
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | awk '{ print $2 }')
    version_at_least "$found" "$wanted" ||
        die "Rust $wanted or newer is needed, this is $found. Update it: rustup update stable"
    command -v cc >/dev/null || install_compiler
}

# Compares major.minor; a missing part counts as 0.
version_at_least() {
    awk -v found="$1" -v wanted="$2" 'BEGIN {
        split(found, f, /[.-]/); split(wanted, w, /[.-]/)
        exit !(f[1] + 0 > w[1] + 0 || (f[1] + 0 == w[1] + 0 && f[2] + 0 >= w[2] + 0))
    }'
}

# Rust links with it, and the TLS library has parts in C.
install_compiler() {
    say "No C compiler was found; installing one."
    if command -v apt-get >/dev/null; then
        apt_install gcc libc6-dev
    elif command -v dnf >/dev/null; then
        as_root dnf install -y gcc
    fi
    command -v cc >/dev/null ||
        die "a C compiler is missing. Install one (macOS: xcode-select --install; Debian, Ubuntu:
    apt-get install gcc libc6-dev) and run this script again."
}

# Prints the folder of what cargo builds, wherever CARGO_TARGET_DIR or its configuration puts it.
target_directory() {
    cargo metadata --locked --no-deps --format-version 1 |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# --- schemathesis, which sends HTTP what nobody would think of ----------------------------------

# Sets `schemathesis` and `python` to programs of a virtual environment below cargo's folder, made
# with exactly the packages of scripts/fuzz-requirements.txt if it is not there.
need_schemathesis() {
    local made
    made=$(target_directory)/schemathesis-$(cksum <scripts/fuzz-requirements.txt | cut -d ' ' -f 1)
    # shellcheck disable=SC2034 # Whoever calls this uses it.
    schemathesis=$made/bin/schemathesis python=$made/bin/python
    [ ! -f "$made/complete" ] || return 0
    need_python
    rm -rf "$made"
    python3 -m venv "$made" || die "Python 3.11 or newer with its venv module is missing."
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --requirement scripts/fuzz-requirements.txt || die "schemathesis could not be installed."
    : >"$made/complete"
}

# Sees to it that Python can make virtual environments.
need_python() {
    command -v python3 >/dev/null || ! command -v apt-get >/dev/null || apt_install python3
    if ! python3 -c 'import ensurepip' 2>/dev/null && command -v apt-get >/dev/null; then
        say "Python cannot make virtual environments here; installing what it needs."
        apt_install python3-venv
    fi
}

# --- Reference implementations of Standard Webhooks ---------------------------------------------

# Sets `verifiers` to a folder below cargo's with a virtual environment `python` and `node_modules`,
# made with exactly what crates/server/tests/verifiers pins if it is not there.
need_verifiers() {
    local pinned=crates/server/tests/verifiers made
    verifiers=$(target_directory)/verifiers-$(cat $pinned/requirements.txt \
        $pinned/package-lock.json | cksum | cut -d ' ' -f 1)
    [ ! -f "$verifiers/complete" ] || return 0
    need_python
    if ! command -v npm >/dev/null; then
        say "Node.js was not found; installing it."
        ! command -v apt-get >/dev/null || apt_install nodejs npm
        command -v npm >/dev/null || die "Node.js (18 or newer) with npm is missing."
    fi
    # Made aside: several may be at it at once, and whoever is last changes nothing.
    mkdir -p "${verifiers%/*}"
    made=$(mktemp -d "$verifiers.XXXXXX")
    python3 -m venv "$made/python" || die "Python 3.9 or newer with its venv module is missing."
    "$made/python/bin/python" -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --requirement $pinned/requirements.txt ||
        die "the verifier for Python could not be installed."
    cp $pinned/package.json $pinned/package-lock.json "$made"
    npm ci --prefix "$made" --silent --no-audit --no-fund --ignore-scripts ||
        die "the verifier for JavaScript could not be installed."
    : >"$made/complete"
    if ! python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$made" "$verifiers" 2>/dev/null; then
        rm -rf "$made"
        [ -f "$verifiers/complete" ] || die "$verifiers cannot be made."
    fi
}

# --- Chromium, in which the console's tests sit before its pages ---------------------------------

need_chromium() {
    if command -v chromedriver >/dev/null; then
        return
    fi
    say "Chromium with its driver was not found; installing it."
    if command -v apt-get >/dev/null; then
        apt_install chromium chromium-driver
    elif command -v dnf >/dev/null; then
        as_root dnf install -y chromium chromedriver
    elif command -v brew >/dev/null; then
        brew install --cask chromium chromedriver
    fi
    command -v chromedriver >/dev/null ||
        die "Chromium is missing, and chromedriver with it (Debian: apt-get install chromium-driver)."
}

# --- PostgreSQL's server programs ---------------------------------------------------------------

# Prints the folder of initdb and postgres, or fails. Bursar itself looks in the same places.
find_postgres() {
    local folder
    if [ -n "${PG_BIN:-}" ]; then
        is_postgres "$PG_BIN" || return 1
        printf '%s\n' "$PG_BIN"
        return
    fi
    while IFS= read -r folder; do
        if is_postgres "$folder"; then
            printf '%s\n' "$folder"
            return
        fi
    done <<FOLDERS
$(postgres_folders)
FOLDERS
    return 1
}

postgres_folders() {
    if command -v pg_config >/dev/null; then
        pg_config --bindir
    fi
    releases /usr/lib/postgresql/
    releases /usr/pgsql-
    releases /opt/homebrew/opt/postgresql@
    releases /usr/local/opt/postgresql@
    printf '%s\n' /usr/local/pgsql/bin
    printf '%s\n' "$PATH" | tr ':' '\n'
}

# Prints <prefix><number>/bin for every release there is, the newest first.
releases() {
    local path
    for path in "$1"[0-9]*/bin; do
        [ -d "$path" ] || continue
        path=${path#"$1"}
        printf '%s\n' "${path%/bin}"
    done | sort -rn | while IFS= read -r path; do printf '%s\n' "$1$path/bin"; done
}

is_postgres() {
    [ -n "$1" ] && [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
    local version
    version=$("$1/postgres" --version | sed 's/.*(PostgreSQL) *\([0-9]*\).*/\1/')
    [ "${version:-0}" -ge "$POSTGRES_MIN" ]
}

# Sets POSTGRES to the folder of the server's programs, which are installed if they are missing.
need_postgres() {
    remove_apt_leftovers
    if POSTGRES=$(find_postgres); then
        return
    fi
    [ -z "${PG_BIN:-}" ] ||
        die "PG_BIN=$PG_BIN holds no initdb and postgres of release $POSTGRES_MIN or newer."
    say "No PostgreSQL server of release $POSTGRES_MIN or newer was found; installing one."
    if command -v apt-get >/dev/null; then
        apt_install_postgres
    elif command -v dnf >/dev/null; then
        as_root dnf install -y postgresql-server
    elif command -v brew >/dev/null; then
        brew install postgresql@17
    fi
    POSTGRES=$(find_postgres) || die "PostgreSQL's server, release $POSTGRES_MIN or newer, is \
missing and could not be installed here. Install it (see https://www.postgresql.org/download/), or \
set PG_BIN to the folder that holds initdb and postgres, and run this script again."
}

apt_updated=no

apt_update() {
    if [ "$apt_updated" = no ]; then
        as_root apt-get update
        apt_updated=yes
    fi
}

apt_install() {
    apt_update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# Files that are there for the time of an installation, and what they are known by.
apt_cluster=/etc/postgresql-common/createcluster.d/bursar-install.conf
apt_policy=/usr/sbin/policy-rc.d
apt_mark="# Written by Bursar's scripts for the time of an installation."

# Installs packages while the file "$1" is there with the lines "$2". It goes with the installation,
# however that ends, unless it is killed.
apt_install_beside() {
    local file=$1 lines=$2
    shift 2
    apt_update # Here, where it is remembered.
    (
        # The caller's own do not hold in a subshell.
        trap 'as_root rm -f "$file"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '%s\n' "$lines" | as_root tee "$file" >/dev/null &&
            as_root chmod 755 "$file" &&
            apt_install "$@"
    )
}

# Removes what an installation has left that was killed.
remove_apt_leftovers() {
    local file
    for file in "$apt_cluster" "$apt_policy"; do
        if grep -qsxF "$apt_mark" "$file"; then
            as_root rm -f "$file"
        fi
    done
}

# Debian's package makes a database of its own and starts it on port 5432, which nobody asked for.
# Its own setting prevents that. The file that carries it is there for the installation only, so
# whoever installs another release later gets what that package does by itself.
apt_install_postgres() {
    local folder=${apt_cluster%/*} installed=yes
    apt_install postgresql-common
    as_root mkdir -p "$folder"
    apt_install_beside "$apt_cluster" "$apt_mark
create_main_cluster = false" postgresql || installed=no
    as_root rmdir "$folder" 2>/dev/null || true # Not empty: it is somebody else's.
    [ "$installed" = yes ] || die "apt-get could not install postgresql."
}

# --- Redis' server, for the tests ---------------------------------------------------------------

need_redis() {
    command -v redis-server >/dev/null && return
    say "No redis-server was found; installing one."
    if command -v apt-get >/dev/null; then
        apt_install_stopped redis-server redis-server
    elif command -v dnf >/dev/null; then
        as_root dnf install -y redis
    elif command -v brew >/dev/null; then
        brew install redis
    fi
    command -v redis-server >/dev/null || die "redis-server is missing and could not be installed \
here. Install it (see https://redis.io/docs/latest/operate/oss_and_stack/install/) and run this \
script again."
}

# --- HAProxy, for the tests ---------------------------------------------------------------------

need_haproxy() {
    # Debian puts it where only root looks.
    PATH=$PATH:/usr/sbin
    command -v haproxy >/dev/null && return
    say "No haproxy was found; installing one."
    if command -v apt-get >/dev/null; then
        apt_install_stopped haproxy haproxy
    elif command -v dnf >/dev/null; then
        as_root dnf install -y haproxy
    elif command -v brew >/dev/null; then
        brew install haproxy
    fi
    command -v haproxy >/dev/null || die "haproxy is missing and could not be installed here. \
Install it (see https://www.haproxy.org) and run this script again."
}

# Installs packages without what they start by themselves, now and at every boot, which nobody asked
# for: "$1" are the services, the rest packages.
apt_install_stopped() {
    local services=$1 service installed=yes
    shift
    remove_apt_leftovers
    if [ -e "$apt_policy" ]; then # Somebody else's, who has decided what starts.
        apt_install "$@" || installed=no
    else
        apt_install_beside "$apt_policy" "#!/bin/sh
$apt_mark
exit 101" "$@" || installed=no
        if command -v systemctl >/dev/null; then
            for service in $services; do
                as_root systemctl disable --quiet "$service" 2>/dev/null || true # No systemd runs.
            done
        fi
    fi
    [ "$installed" = yes ] || die "apt-get could not install $*."
}

# --- What a cluster needs, for scripts/ha -------------------------------------------------------

need_etcd_and_haproxy() {
    # Debian puts HAProxy where only root looks.
    PATH=$PATH:/usr/sbin
    if ! { command -v etcd && command -v haproxy && command -v curl; } >/dev/null; then
        say "etcd, HAProxy or curl was not found; installing them."
        ! command -v apt-get >/dev/null ||
            apt_install_stopped "etcd haproxy" etcd-server haproxy curl
    fi
    { command -v etcd && command -v haproxy && command -v curl; } >/dev/null ||
        die "etcd, HAProxy and curl are needed, and could not be installed here."
}

# Sets `patroni` to the folder of a virtual environment with exactly the packages of
# scripts/ha-requirements.txt, which is made if it is not there.
need_patroni() {
    local python=python3
    choose_server_user
    patroni=$(server_folder "patroni-$(cksum <scripts/ha-requirements.txt | cut -d ' ' -f 1)")
    [ ! -f "$patroni/complete" ] || return 0
    need_python
    # The distribution's own: the server's user may not be allowed to enter where others are.
    [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
    rm -rf "$patroni"
    "$python" -m venv "$patroni" || die "Python 3.9 or newer with its venv module is missing."
    # Two of them are there as source only.
    "$patroni/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --no-binary python-etcd,ydiff \
        --requirement scripts/ha-requirements.txt || die "Patroni could not be installed."
    : >"$patroni/complete"
}

# Prints a folder of this name below cargo's, or, where the server's user cannot enter that, below
# /var/tmp.
server_folder() {
    local below
    below=$(target_directory)
    mkdir -p "$below"
    (cd / && as_server test -x "$below") || below=/var/tmp/bursar-$(id -u)
    mkdir -p "$below"
    printf '%s\n' "$below/$1"
}

# --- A private server for one run of the tests --------------------------------------------------

# Sets `server_user` and `server_group` to whom the server runs as: PostgreSQL refuses to run as root.
choose_server_user() {
    local user
    server_user=$(id -un)
    server_group=$(id -gn)
    if is_root; then
        server_user=nobody
        for user in postgres nobody; do
            if id -u "$user" >/dev/null 2>&1; then
                server_user=$user
                break
            fi
        done
        server_group=$(id -gn "$server_user")
    fi
}

# Runs a command as the user the server runs as.
as_server() {
    if ! is_root; then
        "$@"
    elif command -v setpriv >/dev/null; then
        setpriv --reuid "$server_user" --regid "$server_group" --clear-groups -- "$@"
    else
        runuser -u "$server_user" -- "$@"
    fi
}

# Starts a server in the folder "$1" and exports BURSAR_TEST_DATABASE_URL. Nothing it holds is
# worth keeping, so nothing is made durable.
start_test_postgres() {
    local folder=$1 password port attempt
    choose_server_user
    mkdir -p "$folder/data"
    chmod 711 "$folder"
    password=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf '%s\n' "$password" >"$folder/password")
    if is_root; then
        chown "$server_user:$server_group" "$folder/data" "$folder/password"
    fi
    # From a folder every user can enter: the checkout may not be one.
    (cd / && as_server "$POSTGRES/initdb" --pgdata "$folder/data" --pwfile "$folder/password" \
        --username bursar --encoding UTF8 --locale C --auth scram-sha-256 --no-sync \
        --data-checksums) >"$folder/initdb.log" 2>&1 ||
        { cat "$folder/initdb.log" >&2; die "initdb failed."; }
    : >"$folder/postgres.log"
    if is_root; then
        chown "$server_user:$server_group" "$folder/postgres.log"
    fi
    # Another process may take the port before the server does: then with the next one.
    for attempt in 1 2 3 4 5 6 7 8; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if (cd / && as_server "$POSTGRES/pg_ctl" start --pgdata "$folder/data" --wait --silent \
            --log "$folder/postgres.log" --options "-c listen_addresses=127.0.0.1 -c port=$port \
-c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
-c max_connections=400 -c timezone=UTC" </dev/null >/dev/null 2>&1); then
            export BURSAR_TEST_DATABASE_URL="postgres://bursar:$password@127.0.0.1:$port/postgres"
            return
        fi
        sleep "0.$attempt"
    done
    cat "$folder/postgres.log" >&2
    die "the private PostgreSQL did not start."
}

# Stops the servers whose data lies below the folder "$1": the run's own, and any that a killed
# test has left behind.
stop_postgres_below() {
    local file data
    [ -n "${server_user:-}" ] || return 0 # None was started.
    find "$1" -name postmaster.pid -type f 2>/dev/null | while IFS= read -r file; do
        data=${file%/postmaster.pid}
        (cd / && as_server "$POSTGRES/pg_ctl" stop --pgdata "$data" --mode immediate --silent) ||
            say "warning: the PostgreSQL in $data was not stopped."
    done
}
