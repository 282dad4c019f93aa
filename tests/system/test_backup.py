"""datil backup and restore: under load, into an empty installation, and nothing that was acknowledged is lost."""
import json
import os
import shutil
import stat
import threading
from datetime import datetime, timedelta, timezone

import pytest

from harness import Installation, wait_until


@pytest.fixture
def other():
    """An installation that was never started."""
    it = Installation()
    yield it
    it.close()


@pytest.fixture
def folder(fresh):
    """Where backups go: it belongs to the user that the programs work as."""
    path = fresh.dir / "backup"
    path.mkdir()
    fresh.own(path)
    return path


def restore(it, folder, check=True):
    return it.ctl("restore", str(folder), check=check)


def test_backup_under_load_and_restore(fresh, other, minidump, folder, tmp_path):
    fresh.add_user("kept@example.org")
    fresh.datil("product", "add", "Kept")
    sym = tmp_path / "a.sym"
    sym.write_text("MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 a.so\nFUNC 10 10 0 f\n")
    fresh.datil("symbols", "add", sym)
    stop, posted, failures = threading.Event(), [], []

    def post():
        while not stop.is_set():
            try:
                posted.append(fresh.post({"Comments": "secret"}, dump=minidump if len(posted) % 3 == 0 else None))
            except Exception as e:  # noqa: BLE001 (told below)
                failures.append(e)
                return

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(posted) > 30 or failures, 60, "some reports")
        fresh.datil("crash", "delete", posted[0])
        before = posted[1:]
        wait_until(lambda: fresh.processed(before[0]), 60, "a processed crash")
        tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
        fresh.datil("cron", "run", "telemetry_rollup", "--job-arg", f"run-time={tomorrow:%Y-%m-%d}T01:00")
        fresh.datil("backup", folder)
        more = len(posted)
        wait_until(lambda: len(posted) > more + 10 or failures, 60, "more reports")
        before_second = posted[1:]
        second = fresh.datil("backup", folder, "--keep", "1").stdout
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    linked = int(second.split(" files, ")[-1].split(" of them linked")[0])
    assert linked > len(before)  # raw crashes, at least
    (snapshot,) = [p for p in folder.iterdir() if not p.name.startswith(".")]
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o700
    for path in snapshot.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) in (0o600, 0o700), path
    fresh.stop()
    exported = {p.name: p.read_bytes() for p in (fresh.var / "telemetry/v2").rglob("*") if p.is_file()}
    assert "manifest.json" in exported and "Crashme.jsonl.gz" in exported

    restore(other, folder)
    assert {p.name: p.read_bytes() for p in (other.var / "telemetry/v2").rglob("*") if p.is_file()} == exported
    for path in (other.var / "store").rglob("*"):
        assert not path.stat().st_mode & 0o007, path
    other.start()
    for crash_id in before_second:
        assert other.wait_processed(crash_id, 60)["crash_id"] == crash_id
    assert other.processed(posted[0]) is None
    assert "kept@example.org" in other.datil("user", "list").stdout
    assert "Kept" in other.datil("product", "list").stdout
    assert "a.so.sym" in other.datil("symbols", "list").stdout
    wait_until(lambda: not other.sql("SELECT 1 FROM crash_queue"), 60, "an empty queue")
    done = other.datil("doctor", check=False)
    assert done.returncode == 0, done.output
    new = other.post()
    other.wait_processed(new)


def test_spool_entry_that_leaves_meanwhile_is_not_taken_by_halves(fresh, folder):
    """The mover, or somebody who deletes a crash, is faster than the copy of its dumps."""
    name = "11111111-2222-4333-8444-555550260728"
    entry = fresh.var / "spool/moving" / name
    entry.mkdir()
    (entry / "raw_crash").write_text("{}")
    for dump in ("dump.a", "dump.b"):
        with open(entry / dump, "wb") as file:
            os.truncate(file.fileno(), 128 << 20)
    fresh.own(entry)
    backup = threading.Thread(target=lambda: fresh.datil("backup", folder))
    backup.start()
    wait_until(lambda: list(folder.glob(f"*.partial/spool/moving/{name}/dump.*")), 60, "the first dump's copy", 0.001)
    shutil.rmtree(entry)
    backup.join()
    (snapshot,) = [p for p in folder.iterdir() if not p.name.startswith(".")]
    assert not list(snapshot.glob(f"spool/*/{name}/*")) and name not in (snapshot / "manifest").read_text()


def test_interrupted_backup_goes_on(fresh, folder):
    ids = [fresh.post() for _ in range(5)]
    for crash_id in ids:
        fresh.wait_processed(crash_id)
    fresh.datil("backup", folder)
    (snapshot,) = [p for p in folder.iterdir() if not p.name.startswith(".")]
    # As a kill leaves it: no manifest, one file cut (its time is that of the cut).
    partial = snapshot.rename(snapshot.with_name(snapshot.name + ".partial"))
    (partial / "manifest").unlink()
    cut = next(partial.glob(f"store/*/raw_crash/{ids[0]}.json"))
    cut.write_bytes(cut.read_bytes()[:10])
    said = fresh.datil("backup", folder).stdout
    assert not partial.exists() and int(said.split(" files, ")[-1].split(" of them")[0]) > 5
    (again,) = [p for p in folder.iterdir() if not p.name.startswith(".")]
    json.loads(next(again.glob(f"store/*/raw_crash/{ids[0]}.json")).read_text())


def test_a_folder_that_everybody_may_write_into_is_refused(fresh, other, folder):
    """Where anybody can put a newest snapshot, anybody chooses what is restored."""
    fresh.datil("backup", folder)
    folder.chmod(0o1777)
    done = fresh.datil("backup", folder, check=False)
    assert done.returncode == 1 and "everybody may write" in done.output
    assert "everybody may write" in restore(other, folder, check=False)
    assert not list((other.var / "store").glob("2*"))


def test_restore_refuses_what_would_do_harm(fresh, other, folder, tmp_path):
    fresh.wait_processed(fresh.post())
    fresh.datil("backup", folder)
    (snapshot,) = [p for p in folder.iterdir() if not p.name.startswith(".")]
    done = fresh.datil("restore", folder, check=False)
    assert done.returncode == 1 and "is not empty" in done.output
    assert "no finished backup" in fresh.datil("restore", tmp_path, check=False).output

    manifest = snapshot / "manifest"
    good = manifest.read_text()
    manifest.write_text(good.replace("schema 0", "schema 1", 1))
    assert "damaged" in restore(other, folder, check=False)
    import hashlib
    body = good.replace("schema 0", "schema 9", 1)
    body = body[:body.rindex("end ")]
    manifest.write_text(body + f"end {body.count(chr(10) + 'file ')} {hashlib.sha256(body.encode()).hexdigest()}\n")
    assert "newer Datil" in restore(other, folder, check=False)
    manifest.write_text(good)
    victim = next(snapshot.glob("store/*/raw_crash/*.json"))
    kept = victim.read_bytes()
    victim.write_bytes(kept.replace(b"a", b"b"))
    assert "checksum differs" in restore(other, folder, check=False)
    assert not list((other.var / "store").glob("2*"))
    victim.write_bytes(kept)
    waiting = other.var / "spool/unpublished/11111111-2222-4333-8444-555550260728"
    waiting.mkdir(parents=True)
    assert "spool is not empty" in restore(other, folder, check=False)
    shutil.rmtree(other.var / "spool")
    restore(other, folder)
