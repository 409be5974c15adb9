# shellcheck shell=bash
# Shared by the scripts that start programs beside a Passmint. Source it with $me (the script's name, for messages),
# $here (its folder) and $root set. Every process that is started here is stopped at the end, however the script ends.

live=$root/tests/live
groups=()

fail() {
    echo "$me: $*" >&2
    echo "0 passed, 1 failed"
    exit 1
}

need_node() {
    command -v node >/dev/null || fail "node is missing: install Node 20 or newer"
    (($(node -p 'process.versions.node.split(".")[0]') >= 20)) || fail "node $(node --version) is too old: 20 or newer is needed"
    command -v openssl >/dev/null || fail "openssl is missing"
}

target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$root/$target
build() { (cd "$root" && cargo build --locked "$@") || fail "cargo build failed"; }

# The server is built here unless PASSMINT names one: otherwise a stale binary could be tested unnoticed.
need_server() {
    if [[ -z ${PASSMINT:-} ]]; then
        build
        PASSMINT=$target/debug/passmint
    fi
    [[ -x ${PASSMINT:-} ]] || fail "no server binary at '${PASSMINT:-}'"
    PASSMINT=$(realpath "$PASSMINT")
    export PASSMINT
}

need_browser() {
    local browser
    for browser in chromium chromium-browser google-chrome; do
        CHROMIUM=${CHROMIUM:-$(command -v "$browser" || true)}
    done
    [[ -x ${CHROMIUM:-} ]] || fail "no Chromium: install the package chromium, or set CHROMIUM"
    export CHROMIUM
}

# Installs the libraries of package-lock.json. Scripts and optional packages are left out: the tests use none of them,
# and no foreign code runs during the installation.
install() {
    local try
    ! cmp -s "$live/package-lock.json" "$live/node_modules/.installed-lock" || return 0
    command -v npm >/dev/null || fail "npm is missing: install it"
    for try in 1 2 3; do
        if (cd "$live" && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error); then
            cp "$live/package-lock.json" "$live/node_modules/.installed-lock"
            return
        fi
        echo "$me: npm ci failed (try $try of 3)" >&2
        sleep $((try * 5))
    done
    fail "npm ci failed three times"
}

make_work() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/passmint-$me.XXXXXX")
    chmod 0755 "$work" # the server's private PostgreSQL runs as another user when the server is root
    trap clean_up EXIT
    trap 'exit 130' INT TERM
}

# Each process leads its own process group, so that its children end with it.
start() { # start <name> <command…>
    local name=$1
    shift
    setsid "$@" >"$work/$name.log" 2>&1 &
    groups+=("$!")
}

clean_up() {
    local status=$? group deadline
    # Once begun, the clean-up runs to its end, even if it is interrupted again.
    trap '' INT TERM
    trap - EXIT
    for group in "${groups[@]}"; do
        kill -TERM -- "-$group" 2>/dev/null || true
    done
    deadline=$((SECONDS + 15))
    for group in "${groups[@]}"; do
        while kill -0 -- "-$group" 2>/dev/null && ((SECONDS < deadline)); do
            sleep 0.2
        done
        kill -KILL -- "-$group" 2>/dev/null || true
    done
    if [[ $status -ne 0 ]]; then
        for log in "$work"/*.log; do
            [[ -s $log ]] && { echo "--- the end of ${log##*/}"; tail -n 25 "$log"; } >&2
        done
        # The reason for a failed request is further up in the server's log.
        for log in "$work"/*passmint*.log; do
            [[ -s $log ]] && { echo "--- what ${log##*/} warned of"; grep -E '"level":"(WARN|ERROR)"' "$log" | tail -n 25 || true; } >&2
        done
    fi
    if [[ -n ${KEEP:-} ]]; then
        echo "$me: kept $work" >&2
    else
        rm -rf "$work"
    fi
    exit "$status"
}

wait_for() { # wait_for <name> <url> <seconds>
    local deadline=$((SECONDS + $3)) leader=${groups[-1]}
    until node -e 'fetch(process.argv[1]).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$2"; do
        kill -0 "$leader" 2>/dev/null || fail "$1 ended before it was ready"
        ((SECONDS < deadline)) || fail "$1 was not ready after $3 s"
        sleep 0.3
    done
}
