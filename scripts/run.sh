#!/bin/sh
# Builds the node and the example, and runs the node with a demo origin behind it until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."

PORT=8080        # of proxy-config.toml
ORIGIN_PORT=9000 # of the upstream in proxy-config.toml

target=${CARGO_TARGET_DIR:-target}
node=
origin=

# Whether something listens on a TCP port, on whatever address. The kernel's table has ports in
# hexadecimal, and 0A is its word for listening.
is_taken() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port=":$(printf '%04X' "$1")\$" '$2 ~ port && $4 == "0A" { found = 1 }
            END { exit !found }'
}

check_ports() {
    for port in "$PORT" "$ORIGIN_PORT"; do
        if is_taken "$port"; then
            printf 'port %s is taken: stop what listens there, and try again\n' "$port" >&2
            exit 1
        fi
    done
}

stop() {
    if [ -n "$1" ]; then
        kill "$1" 2>/dev/null || true
    fi
}

print_hints() {
    cat <<END

The node starts on port $PORT, and stops with Ctrl-C. In another terminal:

  curl 'http://127.0.0.1:$PORT/hello?name=you'   # a function answers
  curl -i http://127.0.0.1:$PORT/                # the origin answers, a function adds x-edge: aegis
  curl http://127.0.0.1:$PORT/visits             # a function counts, in the cache

END
}

build() {
    make --no-print-directory build example
    # Only the standard library: no need to build what the node's tests and benchmarks depend on.
    rustc --edition 2024 -O -o "$target/release/demo_origin" node/examples/demo_origin.rs
}

# Each in a session of its own, so that Ctrl-C reaches only this script: the node is told to stop
# once, and the origin stays until the node has finished what is under way.
start() {
    setsid "$target/release/demo_origin" "127.0.0.1:$ORIGIN_PORT" &
    origin=$!
    setsid "$target/release/aegis" run -c proxy-config.toml &
    node=$!
}

# A signal ends `wait` early; what counts is the end of the node.
wait_for_node() {
    status=0
    while kill -0 "$node" 2>/dev/null; do
        status=0
        wait "$node" || status=$?
    done
    return "$status"
}

trap 'stop "$node"; stop "$origin"; wait' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check_ports
build
check_ports
print_hints
start
trap 'stop "$node"' INT TERM HUP
wait_for_node
