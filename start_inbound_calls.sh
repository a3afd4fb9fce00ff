#!/bin/bash
# start_inbound_calls.sh [ARGUMENTS]: builds what is missing and runs openai-inbound-calls in this folder.
#
#   ./start_inbound_calls.sh          runs the daemon with the settings of .env
#   ./start_inbound_calls.sh demo     shows a call without Asterisk and without a key; with --route sip, calls by SIP
#   ./start_inbound_calls.sh --help   lists the other commands
#
# The script ensures that a C compiler and cargo are available, says what it installs and how, and builds only
# if the program is missing or older than its sources. It never runs a script from the network. Without cargo
# it uses a ready-made program in the same folder. It does not install a service: install_service.sh does.
#
# LOG_LANGUAGE=en (environment or .env) selects messages in English. CARGO_TARGET_DIR is respected.
set -euo pipefail
cd "$(dirname "$0")"
name=openai-inbound-calls
needed=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml 2>/dev/null | head -n 1)
needed=${needed:-1.85}

language=${LOG_LANGUAGE:-}
if [ -z "$language" ] && [ -r .env ]; then
    language=$(sed -n "s/^ *\(export  *\)\{0,1\}LOG_LANGUAGE *= *[\"']\{0,1\}\([A-Za-z]*\).*/\2/p" .env | tail -n 1)
fi
# say SPANISH ENGLISH: prints to stderr, because stdout belongs to the program.
say() { if [ "$language" = en ]; then echo "$2" >&2; else echo "$1" >&2; fi; }

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }    # at_least NEEDED FOUND

# Finds a way to become root for apt-get. Fails if there is none.
as_root=()
can_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -eq 0 ]; then return 0; fi
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
}
install() {     # install PACKAGE...
    say "Instalando con apt-get: $*" "Installing with apt-get: $*"
    "${as_root[@]}" apt-get -qq update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" >&2
}

# rustup may be missing from PATH (in a shell that was opened before its installation, in a service, with
# sudo).
if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi
cargo_version() { cargo --version 2>/dev/null | cut -d' ' -f2; }

target=${CARGO_TARGET_DIR:-target}
program=$target/release/$name

if ! command -v cargo >/dev/null; then
    for ready in "./$name" "$program"; do
        if [ -x "$ready" ]; then exec "$ready" "$@"; fi
    done
    # The distribution's cargo is used if it is new enough. Otherwise the owner of the machine decides where
    # cargo comes from.
    packaged=
    if can_install; then
        packaged=$(LC_ALL=C apt-cache policy rustc 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9.]*[0-9]\).*/\1/p')
    fi
    if [ -n "$packaged" ] && at_least "$needed" "$packaged"; then
        install cargo
    else
        say "Falta cargo (Rust $needed o posterior)${packaged:+; el de la distribución es $packaged}. Instálelo con:" \
            "cargo is missing (Rust $needed or later)${packaged:+; the distribution has $packaged}. Install it with:"
        say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" \
            "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        say "o con un paquete de su distribución, y ejecute este script de nuevo." \
            "or from a package of your distribution, and run this script again."
        exit 1
    fi
fi

up_to_date() {
    [ -x "$program" ] && [ -z "$(find Cargo.toml Cargo.lock src examples -newer "$program" -print -quit)" ]
}

if ! up_to_date; then
    version=$(cargo_version) || true
    if ! at_least "$needed" "${version%%-*}"; then
        say "cargo es ${version:-desconocido}; se necesita Rust $needed o posterior: rustup update" \
            "cargo is ${version:-unknown}; Rust $needed or later is needed: rustup update"
        exit 1
    fi
    if ! command -v cc >/dev/null; then
        if ! can_install; then
            say "Falta un compilador de C (cc): instale gcc y las cabeceras de C (Debian: build-essential)." \
                "A C compiler (cc) is missing: install gcc and the C headers (Debian: build-essential)."
            exit 1
        fi
        install build-essential
    fi
    began=$(date +%s.%N)
    say "Compilando $name (la primera vez, unos 10 minutos en 2 núcleos)…" "Building $name (the first time about 10 minutes on 2 cores)…"
    if ! cargo build --release --locked >&2; then
        say "La compilación falló." "The build failed."
        exit 1
    fi
    # cargo does not touch the program if a change does not affect it, and then every start would build again.
    # The time is that of the start of the build, because files edited meanwhile are newer.
    touch -c -d "@$began" "$program"
fi
exec "$program" "$@"
