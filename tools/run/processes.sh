# shellcheck shell=bash disable=SC2034,SC2046,SC2154 # names are shared with datilctl; pids are words
# Part of datilctl: which processes are ours, and which number still means the process it meant.
#
# A process id alone is never believed.  A number is used again after its process ended, and a
# zombie still has one: a process is identified by its id together with the moment it was started
# (field 22 of /proc/PID/stat), and a supervisor also by the boot and by its command.  What has lost its
# parent is recognised by something it cannot lose: every service is started with descriptor 9 open on
# a file of this installation, $run/marks/NAME, and its children inherit it.  The command line would
# not do (every nginx on the machine looks the same), the environment neither (nginx and PostgreSQL
# write their titles over it).  All of this is done with bash's own means, because the
# supervisor looks five times a second.

# proc_look PID: state, parent and start time into proc_state, proc_parent, proc_start.
proc_look() {
    local line
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    set -- ${line##*) } # the name in parentheses may hold spaces
    proc_state=$1 proc_parent=$2 proc_start=${20}
}

# A child of ours that lives; the same number as somebody else's process is not.
is_our_child() { # is_our_child NAME
    local pid=${pid_of[$1]:-}
    [ -n "$pid" ] && proc_look "$pid" && [ "$proc_state" != Z ] && [ "$proc_parent" = $$ ] &&
        [ "$proc_start" = "${start_of[$1]}" ]
}

# datilctl.pid is for people and tools; datilctl.id also says which process of that number is meant.
write_pidfile() {
    proc_look $$
    printf '%s %s %s\n' $$ "$proc_start" "$(</proc/sys/kernel/random/boot_id)" >"$run/datilctl.id.new"
    mv -f "$run/datilctl.id.new" "$run/datilctl.id"
    echo $$ >"$pidfile"
    chmod 0644 "$pidfile" "$run/datilctl.id"
}

remove_pidfile() { rm -f "$pidfile" "$run/datilctl.id"; }

# The supervisor of this directory, into supervisor_pid.  Older versions left the number alone.
find_supervisor() {
    local pid='' start='' boot='' command
    supervisor_pid=
    { read -r pid start boot <"$run/datilctl.id" || read -r pid <"$pidfile"; } 2>/dev/null
    [[ $pid =~ ^[0-9]+$ ]] && proc_look "$pid" && [ "$proc_state" != Z ] || return 1
    { mapfile -d '' -t command <"/proc/$pid/cmdline"; } 2>/dev/null
    [[ ${command[*]:-} == *datilctl* ]] || return 1
    [ -z "$start" ] || { [ "$start" = "$proc_start" ] && [ "$boot" = "$(</proc/sys/kernel/random/boot_id)" ]; } || return 1
    supervisor_pid=$pid
}

# mark_holders NAME…: the processes that belong to these services of this installation.
mark_holders() {
    local path mark name
    find /proc/[0-9]*/fd/9 -maxdepth 0 -printf '%p\t%l\n' 2>/dev/null |
        while IFS=$'\t' read -r path mark; do
            for name in "$@"; do
                [ "$mark" != "$marks/$name" ] || { path=${path#/proc/}; echo "${path%/fd/9}"; }
            done
        done
}

# end_leftovers SECONDS NAME…: TERM, and KILL for what is still there after that time.  False if
# there was nothing.
end_leftovers() {
    local i limit=$(($1 * 20)) pids
    shift
    pids=$(mark_holders "$@")
    [ -n "$pids" ] || return 1
    kill -TERM $pids 2>/dev/null
    case " $* " in
    *' postgres '*) kill -INT $(mark_holders postgres) 2>/dev/null ;; # "fast": TERM alone waits for its clients
    esac
    for ((i = 0; i < limit; i++)); do
        sleep 0.05
        pids=$(mark_holders "$@")
        [ -n "$pids" ] || return 0
    done
    kill -KILL $pids 2>/dev/null
    until_true 5 no_holders "$@"
    return 0
}
no_holders() { [ -z "$(mark_holders "$@")" ]; }

wait_child_gone() { # wait_child_gone NAME SECONDS, then KILL
    local i
    for ((i = 0; i < $2 * 20; i++)); do
        is_our_child "$1" || return 0
        sleep 0.05
    done
    is_our_child "$1" && kill -KILL "${pid_of[$1]}" 2>/dev/null
}

until_true() { # until_true SECONDS COMMAND…
    local i limit=$1
    shift
    for ((i = 0; i < limit * 20; i++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.05
    done
    return 1
}
