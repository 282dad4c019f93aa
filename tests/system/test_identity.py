"""Who may do what on the machine: nobody else is let in, no program keeps root, what dies heals."""
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

import fastcgi
import pytest

from harness import BIN, ROOT, Installation, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
SERVICES = ("nginx", "datil-collector", "datil-webapp", "datil-symbols", "datil-pings", "datil-processor", "datil-cron")


def as_user(name, *command, **options):
    user = pwd.getpwnam(name)
    return subprocess.run(["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--init-groups", "--",
                           *map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def ask_database(datil, user, role):
    return as_user(user, "psql", "-X", "-At", "-h", datil.var / "run/pg", "-U", role, "-d", "datil", "-c",
                   "SELECT current_user")


def status_of(pid):
    """Name, uid, capabilities and no_new_privs of a process, or None when it is gone."""
    try:
        lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    except (OSError, ProcessLookupError):
        return None
    return {"name": lines["Name"].strip(), "uids": set(map(int, lines["Uid"].split())), "no_new_privs": lines["NoNewPrivs"].strip(),
            "caps": max(int(lines[name].strip(), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))}


def first_process(datil, service):
    """The process that the supervisor started for a service."""
    top = int((datil.var / "run/datilctl.pid").read_text())
    found = [pid for pid, (parent, comm, _) in datil.processes().items() if parent == top and comm == service[:15]]
    return found[0] if found else None


def everything_answers(datil):
    def good(path):
        try:
            return datil.get(path).status == 200
        except OSError:
            return False
    return all(map(good, ("/__heartbeat__", "/collector/__heartbeat__", "/symbols/__heartbeat__")))


@as_root
def test_a_stranger_is_no_database_user(datil):
    for user in ("nobody", "www-data"):
        for role in ("datil", "postgres"):
            said = ask_database(datil, user, role)
            assert said.returncode != 0 and "Permission denied" in said.stdout, said.stdout
    assert datil.sql("SELECT current_user, usesuper FROM pg_user WHERE usename = current_user") == [("datil", False)]
    assert datil.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'datil'") == [("datil",)]


@as_root
def test_the_database_asks_who_it_is_behind_an_open_door(fresh):
    """The directory is not the only lock: with it open, peer authentication still says no."""
    door = fresh.var / "run/pg"
    door.chmod(0o755)
    (door / ".s.PGSQL.5432").chmod(0o777)
    for role in ("datil", "postgres"):
        said = ask_database(fresh, "nobody", role)
        assert said.returncode != 0 and "Peer authentication failed" in said.stdout, said.stdout


@as_root
def test_a_stranger_can_neither_read_nor_write_below_var(datil):
    datil.wait_processed(datil.post({"URL": "https://private.example/"}))
    nobody = pwd.getpwnam("nobody")
    assert as_user("nobody", "test", "-x", datil.var).returncode == 0  # else this would prove nothing
    said = as_user("nobody", "sh", "-c",
                   'find "$1" -type f -readable ! -name "datilctl.*"; find "$1" ! -type l -writable; '
                   'find "$1" -mindepth 1 -type d -readable ! -path "$1/run"', "sh", datil.var,
                   stdin=subprocess.DEVNULL)
    found = [line for line in said.stdout.splitlines() if "Permission denied" not in line]
    assert not found, found
    for path in datil.var.rglob("*"):
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        inside = path.relative_to(datil.var).parts
        if inside[0] in ("store", "index", "symbols", "symcache", "spool", "config", "tmp") and not stat.S_ISLNK(mode):
            assert mode & 0o027 == 0, (path, oct(mode))
        if inside[0] == "run" and stat.S_ISSOCK(mode) and inside[1] == "web":
            assert stat.S_IMODE(mode) == 0o660, path
    assert nobody.pw_uid not in {path.lstat().st_uid for path in datil.var.iterdir()}


@as_root
def test_only_the_web_server_reaches_the_programs(datil):
    connect = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    for name in ("collector", "webapp", "symbols", "pings"):
        path = datil.var / f"run/web/datil-{name}.sock"
        assert as_user("www-data", "/usr/bin/python3", "-c", connect, path).returncode == 0
        assert as_user("nobody", "/usr/bin/python3", "-c", connect, path).returncode != 0


def test_no_process_keeps_root_or_a_capability(datil):
    """Every process below the supervisor."""
    seen = {}
    for pid, (_, comm, _) in datil.processes().items():
        if comm not in ("setpriv", "bash", "find"):  # the supervisor's own, for a moment
            seen.setdefault(comm, []).append(status_of(pid))
    assert {name[:15] for name in SERVICES} | {"postgres"} <= set(seen), sorted(seen)
    for comm, many in seen.items():
        for got in filter(None, many):
            assert got["no_new_privs"] == "1" and got["caps"] == 0, (comm, got)
            assert 0 not in got["uids"] or os.geteuid() != 0, (comm, got)


def test_the_walker_has_no_uid_0_and_no_capability(minidump, tmp_path):
    """Also when whoever starts it has everything: it is looked at while it waits for symbols.
    Descriptors as in lib/sandbox/wire.h: 0 the dump, 3 the socket to its parent."""
    dump = tmp_path / "x.dmp"
    dump.write_bytes(minidump)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with dump.open("rb") as file, ours, its:
        inherited = file.fileno(), its.fileno()
        walker = subprocess.Popen(["bash", "-c", f'exec "$0" "$@" <&{inherited[0]} 3<&{inherited[1]} 4<&- {inherited[1]}<&-',
                                   str(BIN / "datil-stackwalk"), "--sandbox", "--memory-bytes", str(1 << 30), "--cpu-s", "9"],
                                  pass_fds=inherited, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ours.settimeout(20)
            assert ours.recv(65536)  # the first module's symbols are asked for
            got = status_of(walker.pid)
            assert got["caps"] == 0 and got["no_new_privs"] == "1" and 0 not in got["uids"], got
        finally:
            walker.kill()
            walker.wait()


@as_root
def test_commands_of_root_leave_nothing_of_roots(fresh, tmp_path):
    """Root's own files can be read, and what is made belongs to the programs' user."""
    datil = fresh
    name = tmp_path / "load.jsonl"  # below a directory that only root may enter
    day = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    crash_id = "11111111-1111-4111-8111-111111" + day[2:10].replace("-", "")
    name.write_text(f'{{"uuid":"{crash_id}","crash_id":"{crash_id}","date_processed":"{day}","product":"Crashme",'
                    f'"version":"1.0","signature":"by root"}}\n')
    name.chmod(0o600)
    datil.datil("crash", "load", name)
    datil.datil("product", "add", "Rootly")
    datil.datil("index", "rebuild")
    datil.datil("cron", "run", "retention")
    owner = (datil.var / "spool").stat().st_uid
    assert owner != 0
    for folder in ("store", "index", "config", "symbols", "spool", "tmp"):
        for path in (datil.var / folder).rglob("*"):
            assert path.lstat().st_uid == owner, path
    assert datil.search(signature="=by root")["total"] == 1
    datil.wait_processed(datil.post({"ProductName": "Rootly"}))


@as_root
def test_an_installation_of_the_first_version_is_taken_over(fresh):
    """Its cluster trusts everybody and `datil` is its superuser; its files are root's and world-readable."""
    datil = fresh
    crash_id = datil.post()
    datil.wait_processed(crash_id)
    accounts = datil.sql("SELECT count(*) FROM app_user")
    datil.stop()
    # Make it what the first version made: initdb -U datil -A trust, run/ 1777, everything root's.
    cluster = datil.var / "pg"
    bindir = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    old = datil.dir / "old"
    old.mkdir()
    shutil.chown(old, "postgres")

    def with_server(folder, *command, superuser):
        server = subprocess.Popen(["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--",
                                   bindir / "postgres", "-D", folder, "-k", old], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: as_user("postgres", bindir / "pg_isready", "-h", old).returncode == 0, 30, "PostgreSQL")
            for line in command:
                done = as_user("postgres", "sh", "-ec", line.format(old=old, user=superuser, dump=old / "dump.sql"))
                assert done.returncode == 0, done.stdout
        finally:
            server.send_signal(2)
            server.wait(30)

    with_server(cluster, "pg_dump -h {old} -U {user} --no-owner datil >{dump}", superuser="postgres")
    shutil.rmtree(cluster)
    done = as_user("postgres", bindir / "initdb", "-D", old / "pg", "-U", "datil", "-A", "trust", "-E", "UTF8",
                   "--locale=C.UTF-8", "-N")
    assert done.returncode == 0, done.stdout
    with (old / "pg/postgresql.conf").open("a") as out:
        out.write("listen_addresses = ''\nunix_socket_permissions = 0777\nmax_connections = 200\n")
    with_server(old / "pg", "createdb -h {old} -U {user} datil", "psql -q -h {old} -U {user} -d datil -f {dump} >/dev/null",
                superuser="datil")
    (old / "pg").rename(cluster)
    for path in (datil.var, *datil.var.rglob("*")):
        if "pg" not in path.relative_to(datil.var).parts and not path.is_symlink():
            os.chown(path, 0, 0)
            path.chmod(0o755 if path.is_dir() else 0o644)
    (datil.var / "run").chmod(0o1777)
    stray = datil.var / "run/datil-webapp.sock"
    stray.touch()

    datil.start()
    assert not stray.exists()
    assert datil.sql("SELECT current_user, usesuper FROM pg_user WHERE usename = current_user") == [("datil", False)]
    assert datil.sql("SELECT count(*) FROM app_user") == accounts
    assert {row[0] for row in datil.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")} == {"datil"}
    assert datil.processed(crash_id)["crash_id"] == crash_id and datil.search(uuid=crash_id)["total"] == 1
    datil.wait_processed(datil.post())
    assert ask_database(datil, "nobody", "datil").returncode != 0
    done = datil.datil("doctor", check=False)
    assert done.returncode == 0, done.output
    owner = (datil.var / "spool").stat().st_uid
    for folder in ("store", "index", "spool"):
        assert {path.lstat().st_uid for path in (datil.var / folder).rglob("*")} == {owner} and owner != 0


@as_root
def test_an_ordinary_user_runs_everything_alone(tmp_path):
    """Without root: one user has it all, root may administrate, others may not."""
    it = Installation()
    try:
        shutil.chown(it.dir, "games", "games")
        it.env["HOME"] = str(it.dir)
        games = pwd.getpwnam("games")
        done = as_user("games", ROOT / "tools/run/datilctl", "up", "--no-demo", env=it.env, timeout=120,
                       stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout
        it.wait_processed(it.post())
        assert it.sql("SELECT current_user") == [("datil",)]  # as root
        assert ask_database(it, "nobody", "datil").returncode != 0
        it.datil("product", "add", "Rootly")  # root becomes the owner
        assert {path.lstat().st_uid for path in it.var.rglob("*")} == {games.pw_uid}
        again = it.ctl("down")
        assert "stopped" in again
        it.start()  # root over somebody's installation goes on as that user
        assert {got["uids"] == {games.pw_uid} for got in map(status_of, it.processes()) if got} == {True}
        it.wait_processed(it.post())
    finally:
        it.ctl("down", check=False)
        it.close()


@as_root
def test_a_closed_home_gives_one_capability(minidump):
    """As with a clone in root's home: programs pass directories, nothing more."""
    it = Installation()
    try:
        closed = it.dir / "home"
        closed.mkdir(mode=0o700)
        it.var = closed / "var"
        it.env["DATIL_VAR"] = str(it.var)
        it.start()
        others = []
        for i in range(5):
            crash_id = it.post({"CrashTime": str(1720000000 + i)}, minidump)
            def look():
                for pid, (_, comm, command) in it.processes().items():
                    got = status_of(pid)
                    if got and comm.startswith("datil-") and command:
                        others.append(got)
                return it.processed(crash_id)
            wait_until(look, 30, "the crash", 0)
        passing = 1 << 2  # CAP_DAC_READ_SEARCH
        assert others and all(got["caps"] in (0, passing) and 0 not in got["uids"] for got in others), others
        done = it.datil("doctor", check=False)
        assert done.returncode == 0, done.output
    finally:
        it.close()


def test_whatever_parent_is_killed_everything_heals(fresh):
    """kill -9 of the first process of each service: its orphans keep neither port nor socket."""
    for service in SERVICES + ("postgres",):
        before = first_process(fresh, service)
        family = {pid for pid, (_, comm, _) in fresh.processes().items() if comm == service[:15]}
        assert before, service
        fresh.kill(before)
        wait_until(lambda: first_process(fresh, service) not in (None, before), 10, f"{service} to start again")
        wait_until(lambda: everything_answers(fresh), 15, f"an answer after the death of {service}")
        left = lambda: [pid for pid in family if (status_of(pid) or {}).get("name") == service[:15]]
        wait_until(lambda: not left(), 10, f"the orphans of {service} to be gone")
    fresh.wait_processed(fresh.post())


@pytest.mark.parametrize("with_nginx", [False, True])
def test_the_supervisor_is_killed_and_up_works_at_once(fresh, with_nginx):
    crash_id = fresh.post()
    fresh.wait_processed(crash_id)
    pids = set(fresh.processes())
    nginx = first_process(fresh, "nginx")
    fresh.kill(int((fresh.var / "run/datilctl.pid").read_text()))
    if with_nginx:
        fresh.kill(nginx)
    fresh.start()
    assert everything_answers(fresh)
    assert not pids & set(fresh.processes())
    assert fresh.processed(crash_id)
    fresh.stop()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", fresh.port))  # nobody keeps it


def test_down_ends_orphans_without_a_supervisor(fresh):
    nginx = first_process(fresh, "nginx")
    workers = {pid for pid, (parent, _, _) in fresh.processes().items() if parent == nginx}
    fresh.kill(int((fresh.var / "run/datilctl.pid").read_text()))
    fresh.kill(nginx)
    assert "stopped what was left" in fresh.ctl("down")
    fresh.running = False
    wait_until(lambda: not [pid for pid in workers if os.path.exists(f"/proc/{pid}")], 5, "nginx's workers to be gone")


def test_a_number_that_means_another_process_is_left_alone(fresh):
    """A pid file from before: its number belongs to a stranger now."""
    datil = fresh
    datil.stop()
    stranger = subprocess.Popen(["sleep", "300"])
    disguised = subprocess.Popen(["bash", "-c", "exec -a datilctl sleep 300"])
    try:
        for process in (stranger, disguised):
            (datil.var / "run/datilctl.pid").write_text(f"{process.pid}\n")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            (datil.var / "run/datilctl.id").write_text(f"{process.pid} 1 {boot}\n")
            assert "does not run" in datil.ctl("down")
            assert process.poll() is None
        datil.start()
        assert stranger.poll() is None and disguised.poll() is None
    finally:
        for process in (stranger, disguised):
            process.kill()
            process.wait()


def test_a_zombie_is_not_running(fresh):
    """Its number is still there, but nobody works under it."""
    fresh.stop()
    child = subprocess.Popen(["true"])
    wait_until(lambda: ") Z " in Path(f"/proc/{child.pid}/stat").read_text(), 5, "a zombie")
    (fresh.var / "run/datilctl.pid").write_text(f"{child.pid}\n")
    fresh.start()
    child.wait()
    assert everything_answers(fresh)


@as_root
def test_a_second_instance_leaves_the_first_alone(fresh):
    """Orphans are recognised by the installation, not by the name of the program."""
    before = {name: first_process(fresh, name) for name in SERVICES}
    with Installation() as second:
        second.kill(first_process(second, "nginx"))
        wait_until(lambda: everything_answers(second), 15, "the second instance")
    assert before == {name: first_process(fresh, name) for name in SERVICES} and everything_answers(fresh)


def test_a_request_cannot_name_a_file_as_its_body(datil, tmp_path):
    """A FastCGI request says everything about itself; it must not open files with our rights."""
    secret = tmp_path / "secret"
    secret.write_bytes(b'--x\r\nContent-Disposition: form-data; name="ProductName"\r\n\r\nCrashme\r\n--x--\r\n')
    status, _, body = fastcgi.request(datil.var / "run/web/datil-collector.sock", "POST", "/submit", b"",
                                      {"Content-Type": "multipart/form-data; boundary=x"}, BODY_FILE=str(secret))
    assert b"CrashID" not in body and status != 200
