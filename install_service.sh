#!/bin/bash
# install_service.sh [OPTION...]: installs openai-inbound-calls as a systemd service, or upgrades it. As root, from any
# folder, as often as you like. It asks nothing and says what it did and what is left to do.
#
#   sudo ./install_service.sh               builds what is missing and installs it; starts it once .env is filled in
#   sudo ./install_service.sh --uninstall   stops it and takes it out; .env, recordings and logs stay
#
#   --prefix DIR     folder of the program, .env and recordings (/usr/local/asterisk, or where it is installed already)
#   --program FILE   installs this program and builds nothing
#   --root DIR       takes DIR for /: no user, no owners, no running service (for packages and tests; needs no root)
#   --dry-run        says what it would do, and does nothing
#
# An .env that is there is never touched; a new one comes from the .env beside this script, or from .env.example. If you
# move recordings or log to other folders (.env), run this again: the service may write nowhere else.
#
# LOG_LANGUAGE=en (environment or .env): messages in English.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=openai-inbound-calls
user=asterisk
umask 022

prefix='' program='' root='' dry='' task=install
# say SPANISH ENGLISH
say() { if [ "${language:-}" = en ]; then echo "$2"; else echo "$1"; fi; }
fail() { say "$@" >&2; exit 1; }
# setting NAME FILE: its value in an .env file, without quotes; nothing if it is not set.
setting() {
    [ ! -r "$2" ] || tr -d '\r' <"$2" | sed -n "s/^ *\(export  *\)\{0,1\}$1 *= *//p" | tail -n 1 \
        | sed -e "s/^'\([^']*\)'.*/\1/;t" -e 's/^"\([^"]*\)".*/\1/;t' -e 's/ #.*//' -e 's/ *$//'
}
language=${LOG_LANGUAGE:-$(setting LOG_LANGUAGE "$here/.env")}

while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        --dry-run) dry=yes ;;
        --uninstall) task=uninstall ;;
        --prefix | --program | --root)
            [ $# -ge 2 ] || fail "Falta el valor de $1" "$1 needs a value"
            case $1 in
                --prefix) prefix=${2%/} ;;
                --program) program=$(realpath -m -- "$2") ;;
                --root) root=$(realpath -m -- "$2") ;;
            esac
            shift ;;
        *) fail "Opción desconocida: $1 (véase --help)" "Unknown option: $1 (see --help)" ;;
    esac
    shift
done
cd "$here"

# ---- Where everything is -------------------------------------------------------------------------------------------
unit=/etc/systemd/system/$name.service
logrotate=/etc/logrotate.d/$name
if [ -z "$prefix" ] && [ -r "$root$unit" ]; then
    prefix=$(sed -n 's/^WorkingDirectory=//p' "$root$unit" | tail -n 1)
fi
prefix=${prefix:-/usr/local/asterisk}
[[ $prefix =~ ^(/[A-Za-z0-9._-]+)+$ ]] || fail "No sirve como --prefix: $prefix" "Not fit for --prefix: $prefix"
env_file=$root$prefix/.env
language=${LOG_LANGUAGE:-$(setting LOG_LANGUAGE "$env_file")}
language=${language:-$(setting LOG_LANGUAGE .env)}

[ -n "$root$dry" ] || [ "$(id -u)" -eq 0 ] \
    || fail "Hace falta ser root: sudo $0" "This needs root: sudo $0"

# ---- Doing things, or only saying so -------------------------------------------------------------------------------
# run COMMAND...: does it, unless --dry-run.
run() { if [ -n "$dry" ]; then echo "    $*"; else "$@"; fi; }
# own FILE...: gives it to the service's user, where there is one.
own() { if [ -z "$root" ]; then run chown "$user:$user" "$@"; fi; }
# put MODE FILE: writes stdin there, whole or not at all. Succeeds if that changed anything.
put() {
    local mode=$1 file=$2 new=$work/new
    cat >"$new"
    if cmp -s "$new" "$root$file"; then return 1; fi
    say "Instalado: $file" "Installed: $file"
    # Said here: who asks whether something changed must not take a full disk for no.
    { run install -D -m "$mode" "$new" "$root$file.new" && run mv -f "$root$file.new" "$root$file"; } \
        || fail "No se pudo escribir $root$file" "Could not write $root$file"
}
# Whether systemd runs here, and concerns us.
is_booted() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
has() { command -v "$1" >/dev/null; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$dry" ]; then say "Simulación: no se cambia nada." "Dry run: nothing is changed."; fi

# ---- Taking it out -------------------------------------------------------------------------------------------------
uninstall() {
    if [ -z "$root" ] && has systemctl && [ -e "$unit" ]; then
        if is_booted; then
            say "Deteniendo el servicio (las llamadas en curso tienen su plazo)…" \
                "Stopping the service (calls in progress have their time)…"
            run systemctl disable --now "$name" || true
        else
            run systemctl disable "$name" || true
        fi
    fi
    local file
    for file in "$unit" "$prefix/$name" "$logrotate"; do
        if [ -e "$root$file" ]; then
            say "Eliminado: $file" "Removed: $file"
            run rm -f "$root$file"
        fi
    done
    if is_booted; then run systemctl daemon-reload; fi
    say "Se conservan $prefix/.env, las grabaciones, los logs y el usuario $user." \
        "Kept: $prefix/.env, the recordings, the logs and the user $user."
}
if [ "$task" = uninstall ]; then uninstall; exit; fi

# ---- The program ---------------------------------------------------------------------------------------------------
# start_inbound_calls.sh knows how to build it; under sudo it builds as who called, whose cargo and files these are.
build() {
    local as=()
    if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        as=(sudo -H -u "$SUDO_USER" "LOG_LANGUAGE=$language" "CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}")
    fi
    run "${as[@]}" ./start_inbound_calls.sh --version || fail "No se pudo compilar." "It could not be built."
    for program in "${CARGO_TARGET_DIR:-target}/release/$name" "./$name"; do
        if [ -x "$program" ]; then break; fi
    done
}
if [ -z "$program" ]; then build; fi
[ -x "$program" ] || [ -n "$dry" ] || fail "No es un programa: $program" "Not a program: $program"

# ---- The user ------------------------------------------------------------------------------------------------------
if [ -n "$root" ]; then
    say "Con --root no se crea el usuario $user ni se cambia el dueño de nada." \
        "With --root the user $user is not created and nothing changes its owner."
elif ! getent passwd "$user" >/dev/null; then
    say "Usuario del sistema creado: $user" "System user created: $user"
    getent group "$user" >/dev/null || run groupadd --system "$user"
    run useradd --system --gid "$user" --home-dir "$prefix" --no-create-home --shell /usr/sbin/nologin "$user"
fi

# ---- .env ----------------------------------------------------------------------------------------------------------
# The address with which this machine reaches others.
local_address() {
    local found=''
    if has ip; then found=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p'); fi
    if [ -z "$found" ] && has hostname; then
        found=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$') || true
    fi
    echo "$found"
}
# Asterisk's own logrotate entry often has /var/log/asterisk/*log: this log has a folder of its own.
settings=$work/env
if [ -e "$env_file" ]; then
    [ -r "$env_file" ] || fail "No se puede leer $env_file: sudo $0" "Cannot read $env_file: sudo $0"
    cat "$env_file" >"$settings"
else
    if [ -e .env ]; then
        cat .env >"$settings"
    else
        sed "s|^LOG_FILE_PATH=.*|LOG_FILE_PATH=/var/log/$name/inbound_openai.log|" .env.example >"$settings"
    fi
    sed -i "s|^LOCAL_IP_ADDRESS=\$|LOCAL_IP_ADDRESS=$(local_address)|" "$settings"
    put 600 "$prefix/.env" <"$settings" || true
    own "$env_file"
fi
if [ -z "$root$dry" ] && has runuser && ! runuser -u "$user" -- test -r "$env_file"; then
    say "$prefix/.env: ahora lo puede leer el usuario $user" "$prefix/.env: the user $user can read it now"
    own "$env_file"
    chmod 600 "$env_file"
fi

# ---- Folders -------------------------------------------------------------------------------------------------------
# at PATH: as the daemon takes it, from its working directory.
at() { case $1 in /*) echo "$1" ;; *) echo "$prefix/$1" ;; esac; }
log=$(at "$(setting LOG_FILE_PATH "$settings")")
recordings=$(setting RECORDINGS_DIR "$settings")
recordings=$(at "${recordings:-recordings}")
database=$(setting DATABASE_URL "$settings")
writable=("$recordings" "$(dirname "$log")")
case $database in sqlite:?*)    # a server's address names no folder
    database=${database#sqlite:}
    writable+=("$(dirname "$(at "${database#//}")")") ;;
esac
for folder in "${writable[@]}"; do
    case $folder/ in
        /home/* | /root/* | /tmp/* | /var/tmp/* | /run/user/*)
            say "ATENCIÓN: el servicio no puede escribir en $folder: cambie LOG_FILE_PATH o RECORDINGS_DIR" \
                "WARNING: the service cannot write to $folder: change LOG_FILE_PATH or RECORDINGS_DIR" ;;
    esac
    if [ ! -d "$root$folder" ]; then
        say "Carpeta creada: $folder" "Folder created: $folder"
        run install -d "$(dirname "$root$folder")"
        run install -d -m 750 "$root$folder"
        own "$root$folder"
    elif [ -z "$root$dry" ] && has runuser && ! runuser -u "$user" -- test -w "$folder"; then
        say "ATENCIÓN: el usuario $user no puede escribir en $folder" \
            "WARNING: the user $user cannot write to $folder"
    fi
done

# ---- The program, the unit, logrotate ------------------------------------------------------------------------------
changed=
if put 755 "$prefix/$name" <"$program"; then changed=yes; fi

systemd_version=$( (systemctl --version 2>/dev/null || true) | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
backoff=
if [ "${systemd_version:-0}" -ge 254 ]; then backoff='\nRestartSteps=5\nRestartMaxDelaySec=60'; fi
if [ -e "$root$unit" ] && ! grep -q install_service.sh "$root$unit"; then
    say "El archivo de servicio anterior queda en $unit.before" "The service file there was is now $unit.before"
    run mv -f "$root$unit" "$root$unit.before"
fi
sed -e "s|^ReadWritePaths=.*|ReadWritePaths=$(printf '"%s"\n' "${writable[@]}" | sort -u | paste -sd ' ')|" \
    -e "s|/usr/local/asterisk|$prefix|g" -e "s|^\(RestartSec=.*\)|\1$backoff|" $name.service >"$work/unit"
if put 644 "$unit" <"$work/unit"; then changed=yes; fi

put 644 "$logrotate" <<END || true
# By install_service.sh of openai-inbound-calls.
"$log" {
    weekly
    rotate 12
    missingok
    notifempty
    compress
    delaycompress
    su $user $user
    create 0640 $user $user
    postrotate
        systemctl reload $name.service >/dev/null 2>&1 || true
    endscript
}
END
others=$(grep -ls "$(dirname "$log")/.*[*]" "$root"/etc/logrotate.d/* | grep -v "$logrotate\$") || true
if [ -n "$others" ]; then
    say "ATENCIÓN: puede que también roten este log: $others" "WARNING: these may rotate the same log: $others"
fi

# ---- Starting it ---------------------------------------------------------------------------------------------------
missing=
while read -r required; do
    if [ -z "$(setting "$required" "$settings")" ]; then missing+=" $required"; fi
done < <(sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env.example)
bring_up() {     # bring_up start|restart
    run systemctl "$1" "$name" \
        || fail "No arrancó. Vea: journalctl -u $name -p err" "It did not start. See: journalctl -u $name -p err"
}

if [ -z "$root" ] && has systemctl; then
    if is_booted; then run systemctl daemon-reload; fi
    run systemctl --quiet enable "$name"
fi
if ! is_booted; then
    say "systemd no está en marcha aquí: no se ha cargado ni arrancado el servicio." \
        "systemd does not run here: the service was neither loaded nor started."
elif [ -n "$missing" ]; then
    say "El servicio no se arranca todavía." "The service is not started yet."
elif systemctl --quiet is-active "$name"; then
    if [ -n "$changed" ]; then
        say "Reiniciando el servicio (las llamadas en curso tienen su plazo)…" \
            "Restarting the service (calls in progress have their time)…"
        bring_up restart
    else
        say "El servicio ya está en marcha, sin cambios." "The service is running already, unchanged."
    fi
else
    say "Arrancando el servicio…" "Starting the service…"
    bring_up start
fi
if [ -n "$missing" ]; then
    say "Siguiente paso: complete en $prefix/.env:$missing; después: sudo systemctl start $name" \
        "Next step: fill in in $prefix/.env:$missing; then: sudo systemctl start $name"
else
    say "Para verlo: journalctl -u $name -f" "To watch it: journalctl -u $name -f"
fi
