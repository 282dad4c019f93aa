"""datil doctor: sees what is wrong, and nothing else, whatever goes on meanwhile."""
import os
import signal
import threading
import time

from harness import Installation, wait_until

RUNS = int(os.environ.get("DATIL_DOCTOR_RUNS", "25"))  # 300 by hand


def test_reports_in_the_spool_state_moving_are_seen(fresh):
    waiting = fresh.var / "spool/moving/11111111-2222-4333-8444-555550260728"
    waiting.mkdir()
    long_ago = time.time() - 3600
    os.utime(waiting, (long_ago, long_ago))
    said = fresh.datil("doctor", "--quick", check=False)
    assert said.returncode == 1 and "spool: 1 reports, the oldest for 3" in said.stdout


def test_program_that_takes_connections_and_hangs_is_seen(fresh):
    parents, workers = fresh.program_pids("datil-symbols")
    stopped = parents | workers
    for pid in stopped:
        fresh.kill(pid, signal.SIGSTOP)
    try:
        said = fresh.datil("doctor", "--quick", check=False)
        assert said.returncode == 1
        assert "datil-symbols does not answer" in said.stdout and "takes connections" in said.stdout
    finally:
        for pid in stopped:
            fresh.kill(pid, signal.SIGCONT)
    wait_until(lambda: fresh.datil("doctor", "--quick", check=False).returncode == 0, 30, "a sound doctor")


def test_directory_of_root_is_named_as_such(fresh):
    spool = fresh.var / "spool"
    owner = spool.stat()
    if owner.st_uid != os.geteuid():  # else the programs are root's as well, or nothing can be given away
        os.chown(spool, 0, 0)
        try:
            said = fresh.datil("doctor", "--quick", check=False).stdout
            assert "(SPOOL_DIR) belongs to root" in said and "Success" not in said
        finally:
            os.chown(spool, owner.st_uid, owner.st_gid)


def test_collector_that_does_not_start_is_explained():
    """The rules file broke while the collector ran; then its parent died."""
    it = Installation()
    rules = it.dir / "rules.json"
    rules.write_text('{"rules": [{"name": "all", "key": "*", "if": {"op": "always"}, "then": "ACCEPT"}]}')
    rules.chmod(0o644)
    it.env["BREAKPAD_THROTTLER_RULES"] = str(rules)
    with it:
        good = rules.read_text()
        rules.write_text(good[:-3])
        for pid in it.program_pids("datil-collector")[0]:
            it.kill(pid)
        wait_until(lambda: any(line["event"] == "start_failed" for line in it.log_lines("collector")), 20, "the log")
        said = it.datil("doctor", "--quick", check=False).stdout
        assert "datil-collector does not answer" in said and "`datil config check`" in said
        checked = it.datil("config", "check", check=False)
        assert checked.returncode == 1 and "throttle rules" in checked.output
        rules.write_text(good)
        wait_until(lambda: it.datil("doctor", "--quick", check=False).returncode == 0, 30, "a sound doctor")


def test_what_a_heartbeat_misses_is_repeated(fresh):
    cache = fresh.var / "symcache"
    cache.rename(fresh.var / "elsewhere")
    try:
        said = fresh.datil("doctor", "--quick", check=False).stdout
        assert "datil-symbols says with 500 what it misses" in said and '"symcache"' in said
    finally:
        (fresh.var / "elsewhere").rename(cache)


def test_no_false_alarm_under_load(fresh, minidump):
    """Reports come, are processed again and deleted while doctor looks: it finds nothing wrong."""
    stop, ids, failures, lock = threading.Event(), [], [], threading.Lock()

    def guarded(work):
        def forever():
            while not stop.is_set():
                try:
                    work()
                except Exception as e:  # noqa: BLE001 (told below)
                    failures.append(e)
                    return
        return threading.Thread(target=forever)

    def post():
        new = fresh.post(dump=minidump if len(ids) % 4 == 0 else None)
        with lock:
            ids.append(new)

    def take(n):
        with lock:
            return [ids.pop(0) for _ in range(min(n, max(len(ids) - 20, 0)))]

    def reprocess():
        with lock:
            some = ids[-15:-10]
        if some:  # one that is deleted meanwhile ends the command
            fresh.datil("reprocess", *some, check=False)

    def delete():
        some = take(3)
        if some:
            fresh.datil("crash", "delete", *some)

    threads = [guarded(work) for work in (post, post, reprocess, delete)]
    for thread in threads:
        thread.start()
    alarms = []
    try:
        wait_until(lambda: len(ids) > 20 or failures, 60, "some reports")
        for number in range(RUNS):
            done = fresh.datil("doctor", *(["--quick"] if number % 5 else []), check=False)
            if done.returncode:
                alarms.append(done.output)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    assert not alarms, f"{len(alarms)} of {RUNS}: {alarms[0]}"
