# shellcheck shell=bash disable=SC2034,SC2154 # names are shared with datilctl
# Part of datilctl: the private PostgreSQL cluster and who may come in.
#
# The kernel says who is at the other end of a unix socket (`peer`), and a map says which roles that
# user may take: root and the owner of the installation are `datil`, the cluster's own user is also
# `postgres`, nobody else is anything.  `datil` owns its database and is no superuser.
#
# Clusters of the first version had `datil` as their first superuser and trusted everybody.  They
# are converted, not refused: PostgreSQL in single-user mode makes a second superuser, the first one is
# renamed to `postgres`, and a plain `datil` takes over the database and everything in it.  The
# owner of the database changes last, so a conversion that was interrupted is repeated.

pg_bin() {
    local dir
    for dir in /usr/lib/postgresql/{17,16,15,14}/bin; do
        if [ -x "$dir/postgres" ]; then
            echo "$dir"
            return
        fi
    done
    dirname "$(command -v postgres 2>/dev/null || echo /nonexistent/postgres)"
}
pgbin=$(pg_bin)
hba_mark='# Written by datilctl at every start: peer with a map.'

write_access_rules() {
    local hba ident user
    hba=$hba_mark$'\nlocal datil datil peer map=datil\nlocal all postgres peer map=datil\nlocal all datil_convert peer map=datil\n'
    ident=$'# Written by datilctl at every start.\n'
    for user in root "$app_user"; do
        ident+="datil \"$user\" datil"$'\n'
    done
    ident+="datil \"$pg_user\" postgres"$'\n'"datil \"$pg_user\" datil_convert"$'\n'
    # Not by root: the directory is the cluster's, and so is whatever lies in it.
    (as "$pg_user" sh -c 'umask 077; cd "$1" && printf %s "$2" >.hba.new && mv .hba.new pg_hba.conf &&
        printf %s "$3" >.ident.new && mv .ident.new pg_ident.conf' sh "$var/pg" "$hba" "$ident") ||
        die "cannot write the access rules of PostgreSQL in $var/pg"
}

init_cluster() {
    [ -x "$pgbin/initdb" ] || die "PostgreSQL is not installed (package postgresql-15)"
    if [ ! -d "$var/pg" ]; then
        step "making a PostgreSQL cluster"
        rm -rf "$var/pg.new" # an initdb that was interrupted
        own_dir 0700 "$pg_user" "$(id -gn "$pg_user")" "$var/pg.new"
        (cd "$var/pg.new" && as "$pg_user" "$pgbin/initdb" -D "$var/pg.new" -U postgres --auth=peer -E UTF8 --locale=C.UTF-8 -N) \
            >"$var/log/initdb.log" 2>&1 || { cat "$var/log/initdb.log" >&2; die "initdb failed"; }
        (as "$pg_user" sh -c 'cat >>"$1/postgresql.conf"' sh "$var/pg.new") <<'CONF'
listen_addresses = ''
logging_collector = off
max_connections = 200
shared_buffers = 128MB
CONF
        mv "$var/pg.new" "$var/pg"
        ok
    elif ! (as "$pg_user" grep -qF "$hba_mark" "$var/pg/pg_hba.conf") 2>/dev/null; then
        step "closing the PostgreSQL cluster to other users"
        (cd "$var/pg" && as "$pg_user" "$pgbin/postgres" --single -D "$var/pg" postgres) >>"$var/log/postgres.log" 2>&1 \
            <<<'CREATE ROLE datil_convert SUPERUSER LOGIN' || { tail -n 20 "$var/log/postgres.log" >&2; die "the cluster in $var/pg cannot be converted"; }
        ok
    fi
    write_access_rules
}

run_postgres() {
    cd "$var/pg" && as "$pg_user" "$pgbin/postgres" -D "$var/pg" -k "$run/pg" -c unix_socket_permissions=0770
}

sql_as() { # sql_as ROLE: statements on standard input, as the cluster's user
    (as "$pg_user" "$pgbin/psql" -X -q -At -v ON_ERROR_STOP=1 -h "$run/pg" -U "$1" -d postgres 2>&1)
}

ensure_database() {
    local said
    said=$(sql_as postgres <<<'SELECT 1')
    if [ "$said" != 1 ]; then
        said=$(sql_as datil_convert <<<'ALTER ROLE datil RENAME TO postgres') ||
            die "nobody can administer the cluster in $var/pg: $said"
    fi
    said=$(sql_as postgres <<'SQL'
SET client_min_messages = warning;
SELECT 'CREATE ROLE datil LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'datil') \gexec
ALTER ROLE datil NOSUPERUSER NOCREATEDB NOCREATEROLE;
DROP ROLE IF EXISTS datil_convert;
SELECT 'CREATE DATABASE datil OWNER datil' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'datil') \gexec
SELECT datdba <> 'datil'::regrole AS is_foreign FROM pg_database WHERE datname = 'datil' \gset
\if :is_foreign
\c datil
SELECT change FROM (
    SELECT format('ALTER %s %s OWNER TO datil',
                  CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                               WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass) AS change
      FROM pg_class c
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
       AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO datil', oid::regprocedure)
      FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('ALTER TYPE %s OWNER TO datil', oid::regtype)
      FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')) AS owned \gexec
ALTER DATABASE datil OWNER TO datil;
\endif
SQL
    ) || die "cannot prepare the database: $said"
}
