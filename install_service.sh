#!/bin/bash
# install_service.sh [OPTION...]: installs openai-inbound-calls as a systemd service, or upgrades it. Run it
# as root, from any folder, as often as you like. It asks nothing, and says what it did and what is left to
# do.
#
#   sudo ./install_service.sh               builds what is missing and installs it; starts it once .env is complete
#   sudo ./install_service.sh --uninstall   stops and removes the service; .env, recordings and logs stay
#
#   --prefix DIR     folder of the program, .env and recordings (default: the installed one, or /usr/local/asterisk)
#   --program FILE   installs this program and builds nothing
#   --root DIR       uses DIR as /: no user, no owners, no running service (for packages and tests; needs no root)
#   --dry-run        says what it would do, and does nothing
#
# An existing .env keeps its content. A new one is a copy of the .env beside this script, or of .env.example.
# Files beside this script that .env names with a relative path (AGENTS_DIR, ASSISTANT_INSTRUCTIONS_FILE, …)
# are copied too, and again whenever they have changed here. What was changed in the installed place stays, and
# the script says so. It deletes none of them.
#
# If you move the recordings or the log to other folders, or change MAX_CALLS (.env), run this script again:
# the service may write only to its own folders, and its memory limit follows from its number of calls.
#
# The service has a user of its own. Earlier versions ran as the PBX's user "asterisk"; the script hands their
# files over to the new user. Neither of these users may gain root's rights through this script: it checks
# every value from .env, and every folder that one of them can change, before it uses them, and refuses what
# does not fit.
#
# LOG_LANGUAGE=en (environment or .env) selects messages in English.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=openai-inbound-calls
user=openai-inbound-calls
pbx_user=asterisk
umask 022
# In the patterns below, a letter is an ASCII letter.
export LC_ALL=C

prefix='' program='' root='' dry='' task=install
# say SPANISH ENGLISH: prints the text in the operator's language.
say() { if [ "${language:-}" = en ]; then echo "$2"; else echo "$1"; fi; }
fail() { say "$@" >&2; exit 1; }
# setting NAME FILE: prints the value of a variable in an .env file, without quotes. Prints nothing if it is
# not set.
setting() {
    # Nothing of a link, a pipe or a device: the latter two may have no end. What else is wrong with it is said below.
    [ ! -r "$2" ] || [ ! -f "$2" ] || [ -L "$2" ] || head -c 1000000 -- "$2" | tr '\r' '\n' | sed -n "s/^ *\(export  *\)\{0,1\}$1 *= *//p" | tail -n 1 \
        | sed -e "s/^'\([^']*\)'.*/\1/;t" -e 's/^"\([^"]*\)".*/\1/;t' -e 's/ #.*//' -e 's/ *$//'
}
# Whether a unit and a logrotate entry can hold this path without escaping.
is_plain() { [[ $1 =~ ^(/[A-Za-z0-9._-]+)+$ && $1/ != */./* && $1/ != */../* ]]; }
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
log_folder=/var/log/$name
# The place where the original system kept its log, and where its users look for it.
promised_log=/var/log/asterisk/inbound_openai.log
if [ -z "$prefix" ] && [ -r "$root$unit" ]; then
    prefix=$(sed -n 's/^WorkingDirectory=//p' "$root$unit" | tail -n 1)
fi
prefix=${prefix:-/usr/local/asterisk}
is_plain "$prefix" || fail "No sirve como --prefix: $prefix" "Not fit for --prefix: $prefix"
env_file=$root$prefix/.env
language=${LOG_LANGUAGE:-$(setting LOG_LANGUAGE "$env_file")}
language=${language:-$(setting LOG_LANGUAGE .env)}

[ -n "$root$dry" ] || [ "$(id -u)" -eq 0 ] \
    || fail "Hace falta ser root: sudo $0" "This needs root: sudo $0"

# ---- Changing files, or only saying so
# -----------------------------------------------------------------------------
# run COMMAND...: runs the command, unless --dry-run is given.
run() { if [ -n "$dry" ]; then echo "    $*"; else "$@"; fi; }
# put MODE FILE: writes stdin to the file, completely or not at all. Succeeds if that changed anything.
put() {
    local mode=$1 file=$2 new=$work/new
    cat >"$new"
    if cmp -s "$new" "$root$file" && [ ! -L "$root$file" ] && { ! has_owners || [ "$(owner "$file")" = root ]; }; then return 1; fi
    say "Instalado: $file" "Installed: $file"
    # The error is handled here, because the caller takes a failure for "nothing changed".
    { run install -D -m "$mode" "$new" "$root$file.new" && run mv -fT "$root$file.new" "$root$file"; } \
        || fail "No se pudo escribir $root$file" "Could not write $root$file"
}
# Whether systemd runs here and the installation concerns it.
is_booted() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
has() { command -v "$1" >/dev/null; }
# Whether the script sets owners: not in a folder that stands for the / of another machine.
has_owners() { [ -z "$root" ] && [ "$(id -u)" -eq 0 ]; }

# ---- Users that are not trusted
# ------------------------------------------------------------------------------------
exists() { getent passwd "$1" >/dev/null; }
# as USER COMMAND...: runs the command with the rights of that user.
as() {
    local who=$1
    shift
    setpriv --reuid "$who" --regid "$(id -g "$who")" --init-groups -- "$@"
}
owner() { stat -L -c %U -- "$1" 2>/dev/null || true; }
# changeable PATH: prints which of the PBX's user and the service's user could replace the path or a folder
# above it. Prints nothing if neither could.
changeable() {
    local who path sticky
    for who in "$pbx_user" "$user"; do
        if ! exists "$who"; then continue; fi
        for path in "$1" "$(realpath -m -- "$1")"; do
            # In a folder like /tmp a user may create files, but not change those of others.
            sticky=
            while :; do
                if [ "$(owner "$path")" = "$who" ] || { { [ -z "$sticky" ] || [ ! -k "$path" ]; } && as "$who" test -w "$path"; }; then
                    echo "$who"
                    return
                fi
                if [ "$path" = / ]; then break; fi
                path=$(dirname "$path")
                sticky=yes
            done
        done
    done
}
# own FILE...: makes the service's user the owner. Use this only in folders that nobody but root can change.
own() { if has_owners; then run chown -h "$user:$user" "$@"; fi; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$dry" ]; then say "Simulación: no se cambia nada." "Dry run: nothing is changed."; fi

# ---- Uninstalling
# --------------------------------------------------------------------------------------------------
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
    # A link to the log that the logrotate entry names was made by this script.
    file=$(readlink "$root$promised_log") || true
    if [ -n "$file" ] && grep -qsxF -- "\"$file\" {" "$root$logrotate"; then run rm -f "$root$promised_log"; fi
    for file in "$unit" "$prefix/$name" "$logrotate"; do
        if [ -e "$root$file" ]; then
            say "Eliminado: $file" "Removed: $file"
            run rm -f "$root$file"
        fi
    done
    if is_booted; then run systemctl daemon-reload; fi
    say "Se conservan $prefix/.env, las grabaciones, los logs, los archivos que .env nombra y el usuario $user." \
        "Kept: $prefix/.env, the recordings, the logs, the files that .env names and the user $user."
}
if [ "$task" = uninstall ]; then uninstall; exit; fi

# ---- The program ---------------------------------------------------------------------------------------------------
# trust PATH...: fails if one of the untrusted users can change one of these files beside the script.
trust() {
    local who suspect remedy
    if ! has_owners; then return; fi
    who=$(changeable "$here")
    for suspect in "$pbx_user" "$user"; do
        if exists "$suspect" && [ -z "$who" ]; then
            # Their own files, and those that a group or an access list lets them write.
            if [ -n "$(find "$@" -user "$suspect" -print -quit 2>/dev/null)" ] \
                || [ -n "$(as "$suspect" find "$@" ! -type l -writable -print -quit 2>/dev/null)" ]; then
                who=$suspect
            fi
        fi
    done
    remedy="sudo find $here -path $here/recordings -prune -o -user $who -exec chown -h root: {} +; sudo chmod -R go-w $here"
    [ -z "$who" ] || fail "El usuario $who puede cambiar lo que hay en $here, y con ello ser root: $remedy" \
        "The user $who can change what is in $here, and so become root: $remedy"
}
# What is run and copied from here gets root's rights.
trust ./*.sh ./*.service .env.example Cargo.* src target "$name"
# start_inbound_calls.sh builds the program. Under sudo it builds as the calling user, who owns cargo and
# these files.
build() {
    local caller=()
    if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        caller=(sudo -H -u "$SUDO_USER" "LOG_LANGUAGE=$language" "CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}")
    fi
    run "${caller[@]}" ./start_inbound_calls.sh --version || fail "No se pudo compilar." "It could not be built."
    for program in "${CARGO_TARGET_DIR:-target}/release/$name" "./$name"; do
        if [ -x "$program" ]; then break; fi
    done
}
if [ -z "$program" ]; then build; fi
[ -x "$program" ] || [ -n "$dry" ] || fail "No es un programa: $program" "Not a program: $program"

# ---- The settings --------------------------------------------------------------------------------------------------
if has_owners; then
    who=$(changeable "$(dirname "$prefix")")
    [ -z "$who" ] || fail "El usuario $who puede cambiar la carpeta de $prefix: elija otro --prefix" \
        "The user $who can change the folder of $prefix: choose another --prefix"
    if [ -d "$prefix" ] && [ -n "$(changeable "$prefix")" ]; then
        say "La carpeta $prefix pasa a ser de root" "The folder $prefix is root's now"
        run chown root:root "$(realpath "$prefix")"
        run chmod go-w "$prefix"
        if has setfacl; then run setfacl -b "$prefix"; fi
    fi
fi
# refuse_links FILE: fails if the file is a link or has a second name, because such a file must not become the
# .env.
refuse_links() {
    if [ ! -L "$1" ] && [ ! -e "$1" ]; then return; fi
    if [ ! -L "$1" ] && [ -f "$1" ] && [ "$(stat -c %h -- "$1")" -eq 1 ]; then
        # A copy of a huge one would fill the disk.
        [ "$(stat -c %s -- "$1")" -le 1000000 ] \
            || fail "$1 es demasiado grande (más de 1 MB)" "$1 is too large (more than 1 MB)"
        return
    fi
    fail "$1 es un enlace o no es un archivo: ponga ahí el archivo mismo" \
        "$1 is a link or no file: put the file itself there"
}
# The address from which this machine reaches others.
local_address() {
    local found=''
    if has ip; then found=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p'); fi
    if [ -z "$found" ] && has hostname; then
        found=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$') || true
    fi
    echo "$found"
}
# new_settings: prints the settings from stdin, completed with what this script knows.
new_settings() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        if [ "$line" = LOCAL_IP_ADDRESS= ]; then line+=$(local_address); fi
        printf '%s\n' "$line"
    done
}
settings=$work/env
refuse_links "$env_file"
refuse_links .env
if [ -e "$env_file" ]; then
    [ -r "$env_file" ] || fail "No se puede leer $env_file: sudo $0" "Cannot read $env_file: sudo $0"
    cat "$env_file" >"$settings"
elif [ -e .env ]; then
    new_settings <.env >"$settings"
else
    # Asterisk's own logrotate entry often covers /var/log/asterisk/*log, so this log has a folder of its own.
    sed "s|^LOG_FILE_PATH=.*|LOG_FILE_PATH=$log_folder/inbound_openai.log|" .env.example | new_settings >"$settings"
fi

# at PATH: prints the path as the daemon resolves it, from its working directory.
at() { case $1 in /*) echo "${1%/}" ;; *) echo "$prefix/${1%/}" ;; esac; }
# check VARIABLE FOLDER: fails if the folder in that variable cannot belong to the service. The value is not
# printed, because it may be a password on the wrong line.
check() {
    is_plain "$2" || fail \
        "La ruta de $1 en .env no sirve: letras sin tilde, cifras, . _ - y / (nada se ha instalado)" \
        "The path of $1 in .env is not fit: letters, digits, . _ - and / (nothing was installed)"
    case $2/ in
        "$prefix"/*) ;;
        /bin/* | /boot/* | /dev/* | /etc/* | /lib*/* | /proc/* | /run/* | /sbin/* | /sys/* | /usr/*)
            fail "La ruta de $1 en .env es del sistema: elija otra (nada se ha instalado)" \
                "The path of $1 in .env is the system's: choose another (nothing was installed)" ;;
        /home/* | /root/* | /tmp/* | /var/tmp/*)
            fail "El servicio no puede escribir en la ruta de $1 en .env: elija otra (nada se ha instalado)" \
                "The service cannot write to the path of $1 in .env: choose another (nothing was installed)" ;;
    esac
}
named_log=$(setting LOG_FILE_PATH "$settings")
named_log=$(at "${named_log:-$log_folder/inbound_openai.log}")
check LOG_FILE_PATH "$named_log"
case $named_log in
    # In Asterisk's folder there is only a link to the log.
    /var/log/asterisk/*) log=$log_folder/${named_log##*/} ;;
    *) log=$named_log ;;
esac
recordings=$(setting RECORDINGS_DIR "$settings")
recordings=$(at "${recordings:-recordings}")
check RECORDINGS_DIR "$recordings"
writable=("$recordings" "$(dirname "$log")")
database=$(setting DATABASE_URL "$settings")
case $database in sqlite:?*)    # the address of a server names no folder
    database=${database#sqlite:}
    database=$(dirname "$(at "${database#//}")")
    check DATABASE_URL "$database"
    writable+=("$database") ;;
esac
# The files and folders that .env names and the service only reads.
read_only=(AGENTS_DIR ASSISTANT_INSTRUCTIONS_FILE APOLOGY_FILE PRICES_FILE RECORDINGS_IDENTITY_FILE)
# named VARIABLE: prints the value of one of them. Prints nothing if it names no file.
named() {
    local value
    value=$(setting "$1" "$settings")
    if [ "${value,,}" != none ]; then echo "${value#./}"; fi
}
# beside VARIABLE: prints what the variable names beside this script and is copied to the installed place.
beside() {
    local value
    value=$(named "$1")
    if [ -n "$value" ] && is_plain "/$value" && ! [ . -ef "$root$prefix" ] && [ -e "$value" ] && [ ! -L "$value" ]; then
        echo "./${value%/}"
    fi
}
for variable in "${read_only[@]}"; do
    source=$(beside "$variable")
    if [ -n "$source" ]; then trust "$source"; fi
done

# ---- The user ------------------------------------------------------------------------------------------------------
if [ -n "$root" ]; then
    say "Con --root no se crea el usuario $user ni se cambia el dueño de nada." \
        "With --root the user $user is not created and nothing changes its owner."
elif ! exists "$user"; then
    say "Usuario del sistema creado: $user" "System user created: $user"
    getent group "$user" >/dev/null || run groupadd --system "$user"
    run useradd --system --gid "$user" --home-dir "$prefix" --no-create-home --shell /usr/sbin/nologin "$user"
fi
# The earlier service runs as the PBX's user and could not continue with the files that it hands over.
if is_booted && systemctl --quiet is-active "$name" && [ "$(systemctl show -P User "$name")" = "$pbx_user" ]; then
    say "El servicio pasa del usuario $pbx_user al usuario $user; deteniéndolo (las llamadas en curso tienen su plazo)…" \
        "The service goes from the user $pbx_user to the user $user; stopping it (calls in progress have their time)…"
    run systemctl stop "$name"
fi
# join REASON: adds the service's user to the PBX's group, because of that file or folder.
join() {
    if id -nG "$user" | tr ' ' '\n' | grep -qx "$pbx_user"; then return; fi
    say "El usuario $user entra en el grupo $pbx_user, por $1" "The user $user joins the group $pbx_user, because of $1"
    run usermod -a -G "$pbx_user" "$user"
}

# ---- .env ----------------------------------------------------------------------------------------------------------
# The service reads the file, and only root writes it. A copy takes its place, because another process may
# have the old file open.
if [ ! -e "$env_file" ]; then
    put 640 "$prefix/.env" <"$settings" || true
    if has_owners; then run chown -h "root:$user" "$env_file"; fi
elif has_owners && [ "$(stat -c '%U:%G %a' "$env_file")" != "root:$user 640" ]; then
    say "$prefix/.env: lo escribe root y lo lee el usuario $user" "$prefix/.env: root writes it, the user $user reads it"
    refuse_links "$env_file"
    run install -m 640 -o root -g "$user" "$settings" "$env_file.new"
    run mv -fT "$env_file.new" "$env_file"
fi

# ---- What .env names -----------------------------------------------------------------------------------------------
# The list of what was copied here, with the hashes of the contents. An installed file with another content was
# changed there, and stays.
copied=$prefix/.copied
hash_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
recorded() { sed -n "s|^\([0-9a-f]*\)  ${1//./[.]}\$|\1|p" "$root$copied" 2>/dev/null | tail -n 1 || true; }
record() {
    if [ -n "$dry" ] || [ "$(recorded "$1")" = "$2" ]; then return; fi
    { grep -vx "[0-9a-f]*  ${1//./[.]}" "$root$copied" 2>/dev/null || true; echo "$2  $1"; } >"$work/copied"
    install -D -m 600 "$work/copied" "$root$copied.new" && mv -fT "$root$copied.new" "$root$copied"
}
# copy SOURCE FILE: installs a file for the service to read, unless it was changed in the installed place.
brought=
copy() {
    local ours theirs='' before
    ours=$(hash_of "$1")
    before=$(recorded "$2")
    if [ -L "$root$2" ]; then
        theirs='a link'
    elif [ -f "$root$2" ]; then
        theirs=$(hash_of "$root$2")
    fi
    if [ "$ours" = "$theirs" ]; then
        record "$2" "$ours"
    elif [ "$theirs" = "$before" ]; then
        put 640 "$2" <"$1" || true
        if has_owners; then run chown -h "root:$user" "$2"; fi
        record "$2" "$ours"
        brought=yes
    elif [ "$ours" = "$before" ]; then
        say "Se conserva $2, que se cambió o se borró allí" "Kept as it is: $2, which was changed or deleted there"
    else
        say "ATENCIÓN: no se copia $here/${1#./}, porque $2 es distinto y no lo puso este script. Compare: diff $here/${1#./} $2" \
            "WARNING: $here/${1#./} is not copied, because $2 differs and this script did not put it there. Compare: diff $here/${1#./} $2"
    fi
}
# bring SOURCE PATH: copies a file, or the files of agents in a folder.
bring() {
    local file folder=$2 who=''
    if [ ! -d "$1" ]; then folder=$(dirname "$2"); fi
    if has_owners && [ -d "$folder" ]; then who=$(changeable "$folder"); fi
    if [ -L "$root$folder" ]; then
        say "ATENCIÓN: no se copia $here/${1#./}, porque $folder es un enlace" \
            "WARNING: $here/${1#./} is not copied, because $folder is a link"
        return
    elif [ -n "$who" ]; then
        say "ATENCIÓN: no se copia $here/${1#./}, porque el usuario $who puede cambiar $folder: sudo chown root:$user $folder" \
            "WARNING: $here/${1#./} is not copied, because the user $who can change $folder: sudo chown root:$user $folder"
        return
    fi
    if [ ! -d "$root$folder" ]; then
        run install -d "$(dirname "$root$folder")"
        run install -d -m 750 "$root$folder"
        if has_owners; then run chown "root:$user" "$folder"; fi
    fi
    if [ ! -d "$1" ]; then
        # Without this file the daemon does not start, so nobody deleted it on purpose.
        if [ ! -e "$root$2" ]; then record "$2" ''; fi
        copy "$1" "$2"
        return
    fi
    for file in "$1"/*.toml "$1"/*.md; do
        if [ -f "$file" ] && [ ! -L "$file" ] && is_plain "/${file##*/}"; then copy "$file" "$2/${file##*/}"; fi
    done
    for file in "$root$2"/*.toml "$root$2"/*.md; do
        if [ -f "$file" ] && [ ! -e "$1/${file##*/}" ] && [ -n "$(recorded "$2/${file##*/}")" ]; then
            say "Ya no está en $here/${1#./} y sigue instalado: $2/${file##*/}" \
                "No longer in $here/${1#./}, and still installed: $2/${file##*/}"
        fi
    done
}
# What the service would not start without.
absent=
for variable in "${read_only[@]}"; do
    file=$(named "$variable")
    if [ -z "$file" ]; then continue; fi
    file=$(at "$file")
    source=$(beside "$variable")
    if [ -n "$source" ]; then
        bring "$source" "$file"
    elif [ ! -e "$root$file" ]; then
        absent+=" $variable"
        if is_plain "$file"; then
            say "ATENCIÓN: no existe lo que nombra $variable: $file" "WARNING: what $variable names does not exist: $file"
        else
            say "ATENCIÓN: no existe lo que nombra $variable" "WARNING: what $variable names does not exist"
        fi
    fi
    case $file/ in "$prefix"/*) ;; /home/* | /root/* | /tmp/* | /var/tmp/*)
        say "ATENCIÓN: el servicio no ve la carpeta de $variable: ponga esos archivos en otra" \
            "WARNING: the service does not see the folder of $variable: put these files into another one" ;;
    esac
    if [ -n "$dry" ] || [ ! -d "$file" ] || ! has_owners || ! exists "$user"; then continue; fi
    for unreadable in "$file" "$file"/*.toml "$file"/*.md; do
        if [ -e "$unreadable" ] && ! as "$user" test -r "$unreadable"; then
            say "ATENCIÓN: el usuario $user no puede leer $unreadable: sudo chgrp $user $unreadable; sudo chmod g+rX $unreadable" \
                "WARNING: the user $user cannot read $unreadable: sudo chgrp $user $unreadable; sudo chmod g+rX $unreadable"
        fi
    done
done
for variable in "${read_only[@]}"; do
    file=$(named "$variable")
    if [ -z "$file" ] || ! has_owners || ! exists "$user"; then continue; fi
    file=$(at "$file")
    if [ ! -f "$file" ] || as "$user" test -r "$file"; then continue; fi
    # The file is beside .env, belongs to the earlier user, and cannot be replaced by anyone.
    if [[ $file == "$prefix"/* ]] && [ ! -L "$file" ] && [ -f "$file" ] \
        && [ "$(stat -c '%U %h' "$file")" = "$pbx_user 1" ] && [ -z "$(changeable "$(dirname "$file")")" ]; then
        say "$variable: ahora es del usuario $user" "$variable: the user $user owns it now"
        own "$file"
    elif [ "$(stat -L -c %G "$file")" = "$pbx_user" ] && as "$pbx_user" test -r "$file"; then
        join "$variable"
    fi
    [ -n "$dry" ] || as "$user" test -r "$file" \
        || say "ATENCIÓN: el usuario $user no puede leer el archivo de $variable" \
            "WARNING: the user $user cannot read the file of $variable"
done

# ---- Folders -------------------------------------------------------------------------------------------------------
# hand_over FOLDER: gives the earlier user's files in the folder to the service. That user may run programs
# meanwhile and replace files by links. Therefore the folders become root's first, from the top down, and from
# then on nobody else can put anything into them. Links, and files that have a second name, keep their owner.
hand_over() {
    say "Pasa al usuario $user: $1" "Handed over to the user $user: $1"
    run find "$1" -xdev -type d -user "$pbx_user" -exec chown -h root:root {} \; -exec chmod 700 {} \;
    if has setfacl; then run find "$1" -xdev -type d -user root -perm 700 -exec setfacl -b -k {} +; fi
    run find "$1" -xdev -type f -user "$pbx_user" -links 1 -exec chown -h "$user:$user" {} +
    # Now the folders become the service's, from the bottom up. Mode 700 also marks folders that an
    # interrupted run has left.
    run find "$1" -xdev -depth -type d -user root -perm 700 -exec chmod 750 {} \; -exec chown -h "$user:$user" {} \;
    if [ -n "$dry" ]; then return; fi
    find "$1" -xdev ! -type d -user "$pbx_user" | while IFS= read -r left; do
        say "ATENCIÓN: sigue siendo del usuario $pbx_user: ${left@Q}" "WARNING: still of the user $pbx_user: ${left@Q}"
    done
}
# share FOLDER: leaves the folder to the PBX's user and lets the group write. This runs with the PBX's rights,
# because root does not control the folder.
share() {
    join "$1"
    run as "$pbx_user" chmod g+rwx "$1" || true
    run as "$pbx_user" find "$1" -maxdepth 1 -type f \( -name 'calls*.db*' -o -name 'access.log*' -o -name 'refused.log*' \) -exec chmod g+rw {} + || true
}
# Whether the installed unit names this folder, which means that an earlier run of this script gave it to the
# service.
is_known() { sed -n 's/^ReadWritePaths=//p' "$unit" 2>/dev/null | tr -d '"' | tr ' ' '\n' | grep -qxF -- "$1"; }
# make FOLDER: creates a folder for the service.
make() {
    local above who=''
    above=$(dirname "$1")
    while [ ! -e "$root$above" ] && [ "$above" != / ]; do above=$(dirname "$above"); done
    if has_owners; then who=$(changeable "$above"); fi
    if [ -n "$who" ]; then
        say "ATENCIÓN: falta la carpeta $1, y $above es del usuario $who: créela para el usuario $user" \
            "WARNING: the folder $1 is missing, and $above is of the user $who: make it for the user $user"
        return
    fi
    say "Carpeta creada: $1" "Folder created: $1"
    run install -d "$(dirname "$root$1")"
    run install -d -m 750 "$root$1"
    own "$root$1"
}
for folder in "${writable[@]}"; do
    if [ ! -e "$root$folder" ]; then
        make "$folder"
        continue
    fi
    if ! has_owners || ! exists "$user"; then continue; fi
    if { [ "$folder" = "$prefix/recordings" ] || [ "$folder" = "$log_folder" ]; } && [ ! -L "$folder" ]; then
        # These folders belong to the service by their names and are in folders of root.
        if [ "$(owner "$folder")" != "$user" ]; then
            hand_over "$folder"
            own "$folder"
        fi
    elif as "$user" test -w "$folder" || [ "$(owner "$folder")" != "$pbx_user" ]; then
        :
    elif [ -z "$(changeable "$(dirname "$folder")")" ] && [ ! -L "$folder" ] && is_known "$folder"; then
        hand_over "$folder"
    else
        share "$folder"
    fi
    [ -n "$dry" ] || as "$user" test -w "$folder" \
        || say "ATENCIÓN: el usuario $user no puede escribir en $folder" \
            "WARNING: the user $user cannot write to $folder"
done

# link PATH: creates a link to the log where people look for the log. logrotate ignores links, whichever entry
# matches them. The folder may belong to the PBX's user, so names are created and changed in it, but nothing
# is followed, opened or given away.
link() {
    if [ "$1" = "$log" ] || [ "$(readlink "$root$1")" = "$log" ]; then return; fi
    # A folder below may be a link to any other, such as /etc: whoever may write to Asterisk's folder can make one.
    if [ "${1%/*}" != "${promised_log%/*}" ]; then
        say "ATENCIÓN: en $1 no se hace ningún enlace: el log está en $log" \
            "WARNING: no link is made at $1: the log is $log"
        return
    fi
    if [ -f "$root$1" ] && [ ! -L "$root$1" ]; then
        say "El log anterior queda en $1.before" "The log there was is now $1.before"
        run mv --backup=numbered -T "$root$1" "$root$1.before" || true
    fi
    [ -d "$root${1%/*}" ] || run install -d "$root${1%/*}"
    if [ ! -e "$root$1" ] && [ ! -L "$root$1" ] && run ln -sT "$log" "$root$1"; then
        say "El log está en $log; $1 es un enlace a él" "The log is $log; $1 is a link to it"
    elif [ -z "$dry" ]; then
        say "ATENCIÓN: $1 no es el log: el log está en $log" "WARNING: $1 is not the log: the log is $log"
    fi
}
link "$promised_log"
if [ "$named_log" != "$promised_log" ]; then link "$named_log"; fi
if [ "$log" != "$named_log" ]; then
    say "LOG_FILE_PATH: el servicio escribe en $log; póngalo así en .env para que doctor mire lo mismo" \
        "LOG_FILE_PATH: the service writes to $log; put that into .env, so that doctor looks at the same"
fi

# ---- The program, the unit, logrotate ------------------------------------------------------------------------------
changed=
if put 755 "$prefix/$name" <"$program"; then changed=yes; fi

# The limits of the service, which keep Asterisk running whatever happens. Memory: 256 MB and 2 MB per call,
# ten times what is needed, but no more than half of the machine's memory. Threads: 128 and one per call; the
# daemon never has more than 512. Without MAX_CALLS the limits count as many calls as the daemon would accept
# on this machine.
calls=$(setting MAX_CALLS "$settings")
[[ $calls =~ ^[1-9][0-9]{0,4}$ ]] || calls=0
if [ "$calls" -eq 0 ] && [ -z "$root" ]; then calls=$((120 * $(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1))); fi
memory=50% tasks=640
if [ "$calls" -gt 0 ]; then
    memory=$((256 + 2 * calls))
    half=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
    half=$((${half:-0} / 2048))
    if [ "$half" -gt 0 ] && [ "$memory" -gt "$half" ]; then memory=$half; fi
    memory=${memory}M
    tasks=$((128 + (calls < 512 ? calls : 512)))
fi

systemd_version=$( (systemctl --version 2>/dev/null || true) | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ -e "$root$unit" ] && ! grep -q install_service.sh "$root$unit"; then
    say "El archivo de servicio anterior queda en $unit.before" "The service file there was is now $unit.before"
    run mv -f "$root$unit" "$root$unit.before"
fi
# Copies the unit beside this script line by line, with the folders and limits of this machine.
unit_here() {
    local line
    while IFS= read -r line; do
        case $line in
            ReadWritePaths=*)
                line="ReadWritePaths=$(printf '"%s"\n' "${writable[@]}" | sort -u | paste -sd ' ')"
                # .env names a path in Asterisk's folder, which the service's user may not even be able to
                # enter.
                if [ "$log" != "$named_log" ]; then line+=$'\n'"Environment=\"LOG_FILE_PATH=$log\""; fi ;;
            MemoryMax=*) line=MemoryMax=$memory ;;
            TasksMax=*) line=TasksMax=$tasks ;;
            RestartSec=*)
                if [ "${systemd_version:-0}" -ge 254 ]; then line+=$'\nRestartSteps=5\nRestartMaxDelaySec=60'; fi ;;
            *) line=${line//\/usr\/local\/asterisk/"$prefix"} ;;
        esac
        printf '%s\n' "$line"
    done <$name.service
}
unit_here >"$work/unit"
if put 644 "$unit" <"$work/unit"; then changed=yes; fi

# Whoever owns the folder of the recordings may rename the files in it.
rotator=$user
if has_owners && [ "$(owner "$recordings")" = "$pbx_user" ]; then rotator=$pbx_user; fi
put 644 "$logrotate" <<END || true
# By install_service.sh of openai-inbound-calls.
"$log" {
    weekly
    maxsize 100M
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
# The daemon creates these files and notices by itself that they were renamed.
"$recordings/access.log" "$recordings/refused.log" {
    weekly
    maxsize 10M
    rotate 12
    missingok
    notifempty
    nocompress
    su $rotator $(id -gn "$rotator" 2>/dev/null || echo "$rotator")
    nocreate
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
elif [ -n "$missing$absent" ]; then
    say "El servicio no se arranca ni se reinicia todavía." "The service is neither started nor restarted yet."
elif systemctl --quiet is-active "$name"; then
    if [ -n "$changed" ]; then
        say "Reiniciando el servicio (las llamadas en curso tienen su plazo)…" \
            "Restarting the service (calls in progress have their time)…"
        bring_up restart
    elif [ -n "$brought" ]; then
        say "El servicio lee los archivos nuevos." "The service reads the new files."
        run systemctl reload "$name"
    else
        say "El servicio ya está en marcha, sin cambios." "The service is running already, unchanged."
    fi
else
    say "Arrancando el servicio…" "Starting the service…"
    bring_up start
fi
if [ -n "$missing" ]; then
    say "Siguiente paso: complete en $prefix/.env:$missing; después: sudo systemctl start $name" \
        "Next step: fill in these variables in $prefix/.env:$missing; then: sudo systemctl start $name"
elif [ -n "$absent" ]; then
    say "Siguiente paso: ponga donde dice .env lo de$absent; después: sudo systemctl restart $name" \
        "Next step: put what belongs to$absent where .env says; then: sudo systemctl restart $name"
else
    say "Para verlo: journalctl -u $name -f" "To watch it: journalctl -u $name -f"
fi
