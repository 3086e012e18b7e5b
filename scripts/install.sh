#!/bin/sh
# Installs what is named and missing: cc, cmake, curl, h2load, nghttp, openssl, redis-server,
# slowhttptest, wrk and python3-* (packages of Debian and Ubuntu), wasm (the Rust target that
# functions are built for). Does nothing if nothing is missing.
set -eu

WASM=wasm32-unknown-unknown

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo: $*"
    fi
}

install_packages() {
    command -v apt-get >/dev/null ||
        fail "missing, to be installed by hand where there is no apt-get: $*"
    printf 'installing with apt-get: %s\n' "$*" >&2
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"
}

has_wasm() {
    [ -d "$(rustc --print target-libdir --target "$WASM")" ]
}

has_python() {
    /usr/bin/python3 -c "import $1" 2>/dev/null
}

install_wasm() {
    command -v rustup >/dev/null ||
        fail "missing: the Rust target $WASM; without rustup it comes with the system's Rust"
    rustup target add "$WASM"
}

command -v cargo >/dev/null || fail "missing: Rust; install it from https://rustup.rs"

packages=
for name in "$@"; do
    case $name in
        wasm) has_wasm || install_wasm ;;
        cc) command -v cc >/dev/null || packages="$packages gcc libc6-dev" ;;
        h2load | nghttp) command -v "$name" >/dev/null || packages="$packages nghttp2-client" ;;
        python3-grpcio) has_python grpc || packages="$packages $name" ;;
        python3-websockets) has_python websockets || packages="$packages $name" ;;
        *) command -v "$name" >/dev/null || packages="$packages $name" ;;
    esac
done
if [ -n "$packages" ]; then
    # shellcheck disable=SC2086  # several words
    install_packages $packages
fi
