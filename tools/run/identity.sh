# shellcheck shell=bash disable=SC2034,SC2154 # names are shared with datilctl
# Part of datilctl: users, and what belongs to whom.
#
# Started by an ordinary user, everything is that user's.  Started by root, three users share the
# work: `postgres` has the cluster, `www-data` is nginx, and DATIL_USER (made if missing) is our
# programs; root keeps only this script, which never reads a stranger's byte.  What lies below
# DATIL_VAR is closed to everybody else:
#
#     var/                 1775 root:datil      the programs may add to it; nobody may replace run/ or pg/
#     var/{store,spool,…}  0750 datil:datil
#     var/pg/              0700 postgres
#     var/log/             0751 root            each file 0640
#     var/symbols/         2750 datil:www-data  stored symbols, which nginx sends itself
#     var/telemetry/       2750 datil:www-data  days of the export, likewise
#     var/nginx/           2750 root:www-data   configuration; folders for bodies inside are www-data's
#     run/                 0755 root
#     run/pg/              2750 postgres:datil  the socket of PostgreSQL
#     run/web/             2750 datil:www-data  the sockets of the programs: set-group-ID hands them to nginx
#     run/nginx/           0700 www-data        its pid file, and its socket for operators
#     run/marks/           0700 root            see processes.sh
#     run/address          0640 datil           where nginx answers, for `datil` and `datilctl status`
#
# Where the clone lies in a place those users may not enter (root's home), they get the one
# capability to pass through directories; our programs see for themselves whether they need it
# (lib/base/identity.h) and the walker gives it up in any case.
is_root=0
[ "$(id -u)" -ne 0 ] || is_root=1
app_user=$(id -un) pg_user=$app_user www_user=$app_user
data_dirs=(store spool index index-pings symcache tmp config crashme)
shared_dirs=(symbols telemetry) # with nginx
declare -A passes_by # user -> 1: needs the capability

as() { # as USER COMMAND…: exec COMMAND as USER (only when we are root)
    local user=$1
    shift
    local who=(--pdeathsig TERM --no-new-privs)
    if [ $is_root -eq 1 ]; then
        who+=(--reuid "$user" --regid "$(id -gn "$user")" --init-groups)
        [ -z "${passes_by[$user]:-}" ] || who+=(--inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
    fi
    exec setpriv "${who[@]}" -- "$@"
}

learn_reach() { # learn_reach USER: can it enter what it needs by itself?
    passes_by[$1]=
    [ $is_root -eq 1 ] || return 0
    (as "$1" sh -c 'test -x "$1" && test -r "$2/static" && test -x "$3/datil"' sh "$var" "$root" "$bin") 2>/dev/null && return 0
    passes_by[$1]=1
    (as "$1" ls "$var") >/dev/null 2>&1 ||
        die "the user '$1' cannot enter $var, and this system does not allow to grant it. Set DATIL_VAR to a directory that other users can enter, for example DATIL_VAR=/var/lib/datil."
}

# Who has what; as root over a directory of somebody else, we go on as that user.
choose_identities() { # choose_identities COMMAND ARGUMENT…
    [ $is_root -eq 1 ] || return 0
    local owner=root
    [ ! -d "$var" ] || owner=$(stat -L -c %U "$var")
    if [ "$owner" != root ]; then
        app_user=$owner
        [ -d "$var/pg" ] && pg_user=$(stat -c %U "$var/pg") || pg_user=$owner
        if [ "$pg_user" = "$owner" ]; then
            say "  (as $owner, to whom $var belongs)"
            learn_reach "$owner"
            as "$owner" "$0" "$@"
        fi
        www_user=www-data
        return
    fi
    app_user=${DATIL_USER:-datil} pg_user=postgres www_user=www-data
    id "$app_user" >/dev/null 2>&1 ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
            --comment "Datil" "$app_user" 2>/dev/null || id "$app_user" >/dev/null 2>&1 ||
        die "cannot make the system user '$app_user' that the programs run as; make one, or name another with DATIL_USER"
    [ "$(id -u "$app_user")" -ne 0 ] || die "DATIL_USER: the programs do not run as root"
}

# own_dir MODE OWNER GROUP DIR: makes it so.  A link is followed only if nobody but us can have made it.
own_dir() {
    local mode=$1 owner=$2 group=$3 dir=$4
    if [ -L "$dir" ] && [ "$(stat -c %u "$dir")" -ne "$(id -u)" ]; then
        die "$dir is a link that belongs to $(stat -c %U "$dir"); remove it"
    fi
    [ -d "$dir" ] || mkdir "$dir" || die "cannot write to $(dirname "$dir"); set DATIL_VAR to a directory of yours"
    if [ $is_root -eq 1 ]; then
        [ "$(stat -L -c %U:%G "$dir")" = "$owner:$group" ] || chown "$owner:$group" "$dir"
    elif [ ! -O "$dir" ]; then
        die "$dir belongs to $(stat -L -c %U "$dir"): start Datil as that user or as root"
    fi
    chmod "$mode" "$dir"
}

# What root left in a folder of the programs (older versions ran as root) becomes theirs; the
# folder itself last, so that a start that is interrupted does it again.
take_over() { # take_over DIR GROUP
    local dir=$1
    [ -d "$dir" ] && [ $is_root -eq 1 ] || return 0
    [ -n "$(find "$dir/" -maxdepth 2 ! -user "$app_user" -print -quit)" ] || return 0
    find "$dir/" -mindepth 1 ! -user "$app_user" -exec chown -h "$app_user:$2" {} + &&
        chown "$app_user:$2" "$dir"
}

# An older version left run/ open to everybody: what is in it may be anybody's.
clean_open_run() {
    local name
    [ -d "$run" ] && [ -n "$(find "$run/" -maxdepth 0 -perm -o+w)" ] || return 0
    for name in "$run"/* "$run"/.[!.]*; do
        case ${name##*/} in
        \* | '.[!.]*' | *.sock | nginx.pid | datilctl.* | .s.PGSQL.* | pg | web | nginx | marks | metrics) ;;
        *) die "$run is open to other users and holds other things ($name); set DATIL_RUN to a directory of Datil's own" ;;
        esac
    done
    rm -rf -- "$run"/*.sock "$run"/nginx.pid "$run"/datilctl.* "$run"/.s.PGSQL.* "$run"/{pg,web,nginx,marks,metrics}
}

# nginx sends these files itself: what is made in the folder belongs to its group.
share_folder() { # share_folder DIR GROUP
    local dir=$1 group=$2
    take_over "$dir" "$group"
    own_dir 2750 "$app_user" "$group" "$dir"
    if [ $is_root -eq 1 ] && [ -n "$(find "$dir/" -maxdepth 1 ! -group "$group" -print -quit)" ]; then
        chgrp -R -h "$group" "$dir"
        find "$dir/" -type d -exec chmod g+s {} +
    fi
}

prepare_directories() {
    local dir app_group www_group
    app_group=$(id -gn "$app_user") www_group=$(id -gn "$www_user")
    mkdir -p "$(dirname "$var")" "$(dirname "$run")" 2>/dev/null
    [ -z "$(find "$var/" -maxdepth 0 -perm -o+w 2>/dev/null)" ] || [ ! -O "$var" ] ||
        die "other users can write to $var; set DATIL_VAR to a directory of Datil's own"
    local var_owner=$app_user var_mode=0750
    if [ $is_root -eq 1 ]; then
        var_mode=1775
        [ "$(stat -L -c %u "$var" 2>/dev/null || echo 0)" -ne 0 ] || var_owner=root
    fi
    own_dir $var_mode "$var_owner" "$app_group" "$var"
    clean_open_run
    own_dir 0755 "$(id -un)" "$(id -gn)" "$run"
    own_dir 0700 "$(id -un)" "$(id -gn)" "$run/marks"
    own_dir 2750 "$pg_user" "$app_group" "$run/pg"
    own_dir 2750 "$app_user" "$www_group" "$run/web"
    own_dir 0750 "$app_user" "$app_group" "$run/metrics"
    own_dir 0700 "$www_user" "$www_group" "$run/nginx"
    own_dir 0751 "$(id -un)" "$(id -gn)" "$var/log"
    own_dir 2750 "$(id -un)" "$www_group" "$var/nginx"
    for dir in body fastcgi proxy uwsgi scgi; do
        own_dir 0700 "$www_user" "$www_group" "$var/nginx/$dir"
    done
    for dir in "${data_dirs[@]}"; do
        take_over "$var/$dir" "$app_group"
        own_dir 0750 "$app_user" "$app_group" "$var/$dir"
    done
    for dir in "${shared_dirs[@]}"; do
        share_folder "$var/$dir" "$www_group"
    done
    if [ $is_root -eq 1 ]; then # locks and the like beside the folders
        find "$var/" -maxdepth 1 -type f ! -user "$app_user" -exec chown -h "$app_user:$app_group" {} +
    fi
    touch "$var"/log/{nginx-error,nginx-access,first-crash}.log
    chmod 0640 "$var"/log/*
    if [ $is_root -eq 1 ]; then
        chown "$www_user" "$var"/log/nginx-{error,access}.log
        chown "$app_user" "$var/log/first-crash.log"
    fi
    for dir in "$app_user" "$pg_user" "$www_user"; do
        learn_reach "$dir"
    done
}
