"""The index under running programs: deleted, replaced, cut, flipped, forbidden.  Crashes are processed all the
same, searches say what they lack, and it heals by itself."""
import json
import os
import random
import shutil
import signal
from datetime import datetime, timedelta, timezone

import pytest

from harness import Installation, wait_until

NOW = datetime.now(timezone.utc)
COUNT = 40
HEALED_S = 60


def crash_id(n):
    return f"{n:08x}-4ea1-4000-8000-000000{NOW:%y%m%d}"


def document(n, weeks_ago):
    date = NOW - timedelta(days=7 * weeks_ago)
    return {"uuid": crash_id(n), "crash_id": crash_id(n), "date_processed": date.isoformat(timespec="seconds"),
            "product": "Crashme", "version": "1.0", "signature": f"heals::{n % 7}", "uptime": n}


def load(datil, first, count):
    text = "".join(json.dumps(document(n, n % 3)) + "\n" for n in range(first, first + count))
    datil.datil("crash", "load", "-", stdin=text)


@pytest.fixture(scope="module")
def datil():
    with Installation(INDEX_SCRUB_EVERY_S="1") as it:
        load(it, 0, COUNT)
        yield it


@pytest.fixture
def crashes(datil, minidump):
    """Afterwards: everything that was processed is found, no answer lacks anything, verify says sound."""
    posted = []

    def post():
        crash = datil.post(dump=minidump)
        posted.append(crash)
        # processed without looking at the index
        wait_until(lambda: datil.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s AND state = 'processed'", crash),
                   HEALED_S, "the crash to be processed")
    yield post
    wait_until(lambda: is_whole(datil), HEALED_S, "the index to be whole")
    for crash in posted:
        wait_until(lambda crash=crash: ask(datil, uuid=crash).get("total") == 1, HEALED_S, "the crash in searches")
    wait_until(lambda: verify(datil), HEALED_S, "a sound index")


def ask(datil, **more):
    answer = datil.get("/api/SuperSearch/", {"date": ">=" + (NOW - timedelta(days=60)).strftime("%Y-%m-%d"),
                                             "_results_number": "0", **more})
    return answer.json if answer.status == 200 else {}


def is_whole(datil):
    answer = ask(datil, signature="^heals::", _facets="signature")
    return (answer.get("total") == COUNT and answer["errors"] == []
            and sum(f["count"] for f in answer["facets"]["signature"]) == COUNT)


def verify(datil):
    return "the index is sound" in datil.datil("index", "verify", check=False).stdout


def index(datil):
    return datil.var / "index"


def events(datil, event):
    return [line for line in datil.log_lines("processor") if line["event"] == event]


def give(datil, path):
    """What root puts in place belongs to the programs, as everything that is restored must."""
    owner = (datil.var / "store").stat()
    for one in [path, *path.rglob("*")]:
        os.chown(one, owner.st_uid, owner.st_gid)


def last_week(datil):
    return sorted(p for p in index(datil).iterdir() if p.name[0] == "2")[-1]


def test_deleted_directory(datil, crashes):
    crashes()
    shutil.rmtree(index(datil), ignore_errors=True)  # the programs go on meanwhile
    crashes()
    # until it is filled no answer looks complete
    answer = ask(datil, signature="^heals::")
    assert answer.get("total") == COUNT or answer.get("errors") or answer == {}
    wait_until(lambda: events(datil, "index_filled"), HEALED_S, "the filling")
    assert len(events(datil, "index_fill_begin")) == len(events(datil, "index_filled")), "exactly once"


def test_replaced_by_an_empty_directory(datil, crashes):
    """The fixture `crashes` fails it: a crash is not processed while the index is away, or not found afterwards."""
    index(datil).rename(datil.var / "index.gone")
    index(datil).mkdir()
    give(datil, index(datil))
    crashes()
    shutil.rmtree(datil.var / "index.gone")


def test_replaced_by_an_older_copy(datil, crashes):
    """Whole in itself, but it does not know the youngest crashes.  Fails when they are not put again: no replay."""
    wait_until(lambda: is_whole(datil), HEALED_S, "the index to be whole")
    datil.datil("crash", "load", "-", stdin="\n")  # a sync
    shutil.copytree(index(datil), datil.var / "index.old")
    give(datil, datil.var / "index.old")
    crashes()
    before = len(events(datil, "index_replayed"))
    synced = datil.sql("SELECT last_value FROM crash_index_seq")[0][0]
    wait_until(lambda: datil.sql("SELECT synced_seq FROM crash_index_state")[0][0] >= synced, HEALED_S, "a sync")
    index(datil).rename(datil.var / "index.gone")
    (datil.var / "index.old").rename(index(datil))
    wait_until(lambda: len(events(datil, "index_replayed")) > before, HEALED_S, "the replay")
    shutil.rmtree(datil.var / "index.gone")


@pytest.mark.parametrize("damage", ["deleted", "cut", "garbage"])
def test_damaged_head(datil, crashes, damage):
    """The fixture `crashes` fails it: a crash is not processed while the index is away, or not found afterwards."""
    head = index(datil) / "head"
    if damage == "deleted":
        head.unlink()
    elif damage == "cut":
        with open(head, "r+b") as f:
            f.truncate(100)
    else:
        with open(head, "r+b") as f:
            f.write(random.randbytes(4000))
    crashes()


@pytest.mark.parametrize("damage", ["deleted", "cut", "replaced"])
@pytest.mark.parametrize("name", ["head", "signature.rows-1", "uuid.bytes", "_row-of", "head.synced"])
def test_damaged_file_of_a_week(datil, crashes, name, damage):
    """Fails when the week is not set aside, when its crashes are not found again, or when `aside` stays."""
    wait_until(lambda: is_whole(datil) and (last_week(datil) / "head.synced").exists(), HEALED_S, "a synced index")
    week = last_week(datil)
    path = week / name
    if damage == "deleted":
        path.unlink()
    elif damage == "cut":
        with open(path, "r+b") as f:
            f.truncate(70)
    else:
        new = path.with_name("new")
        new.write_bytes(random.randbytes(path.stat().st_size))
        give(datil, new)
        new.rename(path)
    wait_until(lambda: not week.exists(), HEALED_S, "the week to be set aside")
    crashes()
    wait_until(lambda: not (index(datil) / "aside").exists(), HEALED_S, "aside to be emptied")


def test_one_flipped_bit_is_found_by_the_scrub(datil, crashes):
    wait_until(lambda: is_whole(datil) and (last_week(datil) / "head.synced").exists(), HEALED_S, "a synced index")
    week = last_week(datil)
    path = week / "uptime.rows-1"
    with open(path, "r+b") as f:
        f.seek(64 + 2)
        byte = f.read(1)[0]
        f.seek(64 + 2)
        f.write(bytes([byte ^ 1]))
    assert not verify(datil)
    wait_until(lambda: not week.exists(), HEALED_S, "the scrub")
    crashes()


def test_unusable_index_holds_up_nothing(datil, crashes):
    """Something else stands where the directory should be."""
    index(datil).rename(datil.var / "index.away")
    index(datil).write_text("not a directory")
    crashes()
    crashes()
    assert datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed' AND index_seq IS NULL")[0][0] >= 2
    said = datil.datil("doctor", "--quick", check=False).stdout
    assert "index" in said and "wait for it" in said, said
    index(datil).unlink()
    (datil.var / "index.away").rename(index(datil))
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed' AND index_seq IS NULL")
               [0][0] == 0, HEALED_S, "the late ones")
    assert events(datil, "index_caught_up")


def make_late(datil, crash):
    datil.sql("UPDATE crash_ledger SET index_seq = NULL WHERE crash_id = %s", crash)


def hold_keeper_at(datil, crash):
    """The keeper waits while it reads the processed crash, for what is written to the result.  Where that lies
    otherwise, and the crash as it was."""
    path = next(datil.var.glob(f"store/*/processed_crash/{crash}.json"))
    old = path.read_text()
    path.unlink()
    os.mkfifo(path)
    datil.own(path)
    make_late(datil, crash)
    return open(path, "w"), path, json.loads(old)


def wait_for_next_round(datil, other):
    make_late(datil, other)
    wait_until(lambda: datil.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s AND index_seq > 0", other), 20,
               "the keeper's next round")


def test_late_crash_that_is_processed_meanwhile_is_found_as_it_is_stored(datil, minidump):
    """The keeper reads a processed crash; before it puts that, a worker is done with the same crash once more."""
    crash, other = (datil.post(dump=minidump) for _ in range(2))
    signature = datil.wait_processed(crash)["signature"]
    datil.wait_processed(other)
    feed, path, old = hold_keeper_at(datil, crash)
    with feed:
        new = path.with_name(".new")
        new.write_text(json.dumps(old))
        datil.own(new)
        new.rename(path)
        datil.datil("reprocess", crash)
        wait_until(lambda: not datil.sql("SELECT 1 FROM crash_queue WHERE crash_id = %s", crash)
                   and json.loads(path.read_text())["completed_datetime"] > old["completed_datetime"], 30, "the worker")
        feed.write(json.dumps({**old, "signature": "overtaken"}))
    wait_for_next_round(datil, other)
    wait_until(lambda: [hit["signature"] for hit in datil.search(uuid=crash, _columns=["signature"])["hits"]]
               == [signature], 20, "the crash as it is stored")


def test_late_crash_that_is_deleted_meanwhile_stays_deleted(datil, minidump):
    crash, other = (datil.post(dump=minidump) for _ in range(2))
    datil.wait_processed(crash)
    datil.wait_processed(other)
    feed, _, old = hold_keeper_at(datil, crash)
    with feed:
        datil.datil("crash", "delete", crash)
        feed.write(json.dumps(old))
    wait_for_next_round(datil, other)
    wait_until(lambda: datil.search(uuid=crash)["total"] == 0, 20, "the crash to be gone from searches")


def test_forbidden_index_holds_up_nothing(datil, crashes):
    """The fixture `crashes` fails it: a crash is not processed while the index is away, or not found afterwards."""
    if (datil.var / "store").stat().st_uid == 0:
        pytest.skip("the programs run as root, to whom nothing is forbidden")
    index(datil).rename(datil.var / "index.away")
    index(datil).mkdir(mode=0o700)
    crashes()
    index(datil).rmdir()
    (datil.var / "index.away").rename(index(datil))


def test_the_processor_starts_without_an_index(datil, crashes):
    """The fixture `crashes` fails it: a crash is not processed while the index is away, or not found afterwards."""
    index(datil).rename(datil.var / "index.away")
    index(datil).write_text("not a directory")
    for pid in datil.program_pids("datil-processor")[0]:
        datil.kill(pid, signal.SIGKILL)
    crashes()
    index(datil).unlink()
    (datil.var / "index.away").rename(index(datil))


def test_index_of_an_older_version(datil, crashes):
    """Set aside and filled again; nobody has to do anything, or `crashes` fails it."""
    wait_until(lambda: is_whole(datil), HEALED_S, "the index to be whole")
    datil.stop()
    for head in index(datil).rglob("head*"):
        with open(head, "r+b") as f:
            f.seek(8)
            f.write(bytes([1, 0, 0, 0]))
    datil.start()
    crashes()


def test_doctor_tells(datil, crashes):
    shutil.rmtree(index(datil), ignore_errors=True)  # the programs go on meanwhile
    crashes()
    wait_until(lambda: is_whole(datil), HEALED_S, "the index to be whole")
    said = wait_until(lambda: [text for text in [datil.datil("doctor", check=False).stdout]
                               if "every file is sound" in text], HEALED_S, "doctor")
    assert "the last scrub ended" in said[0] or "not scrubbed" in said[0]
