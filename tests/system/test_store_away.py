"""A store, or a directory of symbols, whose file system is not mounted: nothing is lost, nothing is written
below the mount point, everybody says so, and all goes on when it is back."""
import shutil

from harness import wait_until


def collector_health(datil):
    answer = datil.get("/collector/__heartbeat__")
    return answer.status, [(e["name"], e["msg"]) for e in answer.json["errors"]]


def unmount(path):
    """What a mount point looks like when nothing is mounted: a directory with nothing in it."""
    away = path.with_name(path.name + ".away")
    path.rename(away)
    path.mkdir(mode=away.stat().st_mode & 0o7777)
    shutil.chown(path, away.stat().st_uid, away.stat().st_gid)
    return away


def mount(path, away):
    path.rmdir()  # fails if anything was made below it
    away.rename(path)


def test_unmounted_store_loses_nothing(fresh):
    before = fresh.post()
    fresh.wait_processed(before)
    store = fresh.var / "store"
    away = unmount(store)
    try:
        fresh.datil("doctor", "--quick", check=False)
        assert collector_health(fresh) == (503, [("store", "not this installation's store: not mounted?")])
        assert fresh.get("/__heartbeat__").status == 500
        during = [fresh.post() for _ in range(5)]
        # A message that is there already is not taken for one without a report.
        fresh.sql("INSERT INTO crash_queue (crash_id, queue, created) VALUES (%s, 2, now() - interval '1 day')", before)
        fresh.sql("NOTIFY crash_queue")
        said = fresh.datil("doctor", check=False)
        assert said.returncode == 1 and "is its file system mounted?" in said.stdout
        assert "crash delete" not in said.stdout
        for command in (["cron", "run", "retention", "--force"], ["cron", "run", "verifyprocessed"],
                        ["cron", "run", "republish"], ["crash", "delete", before], ["crash", "show", before],
                        ["reprocess", before]):
            done = fresh.datil(*command, check=False)
            assert done.returncode != 0 and "mounted" in done.output, (command, done.output)
        done = fresh.datil("migrate")  # every start does it
        assert "store mark" in done.output
        wait_until(lambda: any(line["event"] == "store_away" for line in fresh.log_lines("collector")), 10, "the log")
        assert fresh.sql("SELECT state, attempts FROM crash_queue WHERE crash_id = %s", before) == [(0, 0)]
        assert fresh.sql("SELECT count(*) FROM crash_ledger WHERE state <> 'processed'") == [(0,)]
        assert not list(store.iterdir())
    finally:
        mount(store, away)
    for crash_id in [before] + during:
        fresh.wait_processed(crash_id)
    wait_until(lambda: not fresh.sql("SELECT 1 FROM crash_queue"), 20, "an empty queue")
    wait_until(lambda: collector_health(fresh) == (200, []), 10, "a sound heartbeat")
    done = fresh.datil("doctor", check=False)
    assert done.returncode == 0, done.output


def test_foreign_store_is_refused_until_told_otherwise(fresh):
    mark = fresh.var / "store/.datil-store"
    own = mark.read_text()
    mark.write_text("0" * 32 + "\n")
    done = fresh.datil("doctor", "--quick", check=False)
    assert done.returncode == 1 and "belongs to another installation" in done.stdout
    crash_id = fresh.post()
    assert collector_health(fresh)[0] == 503
    fresh.datil("store", "mark")
    assert mark.read_text() == own
    fresh.wait_processed(crash_id)
    assert fresh.sql("SELECT action, object_id FROM audit_log WHERE object = 'store'") == [("mark", "store")]


def test_installation_without_marks_gets_them(fresh):
    """One that was made by an earlier release."""
    crash_id = fresh.post()
    fresh.wait_processed(crash_id)
    fresh.sql("DELETE FROM installation_mark")
    (fresh.var / "store/.datil-store").unlink()
    (fresh.var / "symbols/.datil-store").unlink()
    fresh.datil("migrate")
    assert (fresh.var / "store/.datil-store").exists() and (fresh.var / "symbols/.datil-store").exists()
    done = fresh.datil("doctor", check=False)
    assert done.returncode == 0, done.output


def test_installation_starts_without_its_store(fresh):
    """After a reboot that did not mount it: reports are accepted all the same."""
    fresh.stop()
    away = unmount(fresh.var / "store")
    said = fresh.ctl("up", "--no-demo")
    fresh.running = True
    assert "datil doctor" in said
    crash_id = fresh.post()
    mount(fresh.var / "store", away)
    fresh.wait_processed(crash_id)


def test_symbols_are_not_stored_below_a_mount_point(fresh, tmp_path):
    sym = tmp_path / "a.sym"
    sym.write_text("MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 a.so\nFUNC 10 10 0 f\n")
    symbols = fresh.var / "symbols"
    away = unmount(symbols)
    try:
        assert fresh.get("/symbols/__heartbeat__").json["checks"]["storage"] == "error"
        done = fresh.datil("symbols", "add", sym, check=False)
        assert done.returncode != 0 and "mounted" in done.output, done.output
        assert "symbols: " in fresh.datil("doctor", "--quick", check=False).stdout
    finally:
        mount(symbols, away)
    fresh.datil("symbols", "add", sym)


def test_empty_spool_takes_reports_at_once(fresh):
    """Another disk is mounted as the spool while the collector runs: its directories are made.
    Fails when the report is refused (post() checks the answer) or never processed."""
    spool = fresh.var / "spool"
    unmount(spool)
    crash_id = fresh.post()
    fresh.wait_processed(crash_id)
