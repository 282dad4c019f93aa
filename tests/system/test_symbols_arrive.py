"""A crash without names says what is missing; when the symbols arrive it gets better by itself."""
import gzip
import html
import json
import os
import re
import shutil
import signal
import subprocess
import time

import psycopg2
import pytest
from harness import BIN, Installation, wait_until

DIED = re.compile(r"bp-([0-9a-f-]{36})")


@pytest.fixture(scope="module")
def datil():
    with Installation() as it:
        yield it


def program(folder, name):
    """A program with an id of its own, which crashes."""
    path = folder / name
    shutil.copy(BIN / "crashme", path)
    note = folder / "note"
    note.write_bytes(b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + (name.encode() * 20)[:20])
    subprocess.run(["objcopy", "--update-section", f".note.gnu.build-id={note}", str(path)], check=True)
    return path


def crash_of(datil, path):
    done = subprocess.run([str(path), "null", "--url", f"{datil.base}/submit", "--database", str(path.parent / "db"),
                           "--handler", str(BIN / "datil-client-handler")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return DIED.search(done.stdout)[1]


def wanted(doc, name):
    return next((m for m in doc.get("symbols_wanted", []) if m["filename"] == name), None)


def run_command(datil, command, folder):
    env = {**datil.env, "PATH": f"{BIN}:{datil.env['PATH']}"}
    return subprocess.run(["sh", "-c", command], cwd=folder, env=env, check=True, stderr=subprocess.PIPE)


def queue_arrived(datil, *args):
    out = datil.datil("cron", "run", "reprocesslacking", "--job-arg", *(args or ["quiet=0"])).stdout
    return tuple(map(int, re.search(r"(\d+) crashes queued again, (\d+) more wait", out).groups()))


def passes(datil, crash_id):
    """How often it was processed."""
    return 1 + len(datil.processed(crash_id)["processor_history"])


def test_from_the_page_to_names(datil, tmp_path):
    path = program(tmp_path, "bare thing")
    crash_id = crash_of(datil, path)
    doc = datil.wait_processed(crash_id)
    mine = wanted(doc, "bare thing")
    assert mine["state"] == "missing" and mine["crashing_frames"] > 0 and mine["frames"] >= mine["crashing_frames"]
    assert mine["asked"] and mine["asked"][0]["answer"] == "not found"
    first = doc["json_dump"]["crashing_thread"]["frames"][0]
    assert first["function"] is None

    assert queue_arrived(datil) == (0, 0)
    page = datil.get(f"/report/index/{crash_id}").text
    commands = [html.unescape(c) for c in re.findall(r'<pre tabindex="0" id="command-\d+">([^<]*)</pre>', page)]
    assert commands == [m["command"] for m in doc["symbols_wanted"]] and "because symbols of " in page
    assert mine["debug_id"] in page and "own store: not found" in page
    run_command(datil, next(c for c in commands if "bare thing" in c), tmp_path)
    assert queue_arrived(datil, "quiet=600") == (0, 0)  # others of the same upload may follow
    assert queue_arrived(datil)[0] == 1
    better = wait_until(lambda: (lambda d: d["json_dump"]["crashing_thread"]["frames"][0]["function"] and d)(
        datil.processed(crash_id)), what="names")
    assert "bare thing.sym" not in datil.get(f"/report/index/{crash_id}").text
    assert wanted(better, "bare thing") is None and better["signature"] != doc["signature"]
    assert queue_arrived(datil) == (0, 0)  # once
    assert datil.sql("SELECT count(*) FROM crash_lacks_symbols WHERE crash_id = %s AND debug_id = %s",
                     crash_id, mine["debug_id"]) == [(0,)]
    assert datil.sql("SELECT crashes FROM symbols_reprocessed WHERE debug_id = ''") == [(1,)]


def test_crashes_of_before_there_was_a_list(datil, minidump):
    crash_id = datil.post(dump=minidump)
    datil.wait_processed(crash_id)
    [stored] = [p for p in datil.var.rglob("*processed*/**/*") if p.is_file() and crash_id in str(p)]
    read = gzip.open if stored.suffix == ".gz" else open
    with read(stored, "rb") as f:
        doc = json.load(f)
    del doc["symbols_wanted"]
    with read(stored, "wb") as f:
        f.write(json.dumps(doc).encode())
    page = datil.get(f"/report/index/{crash_id}")
    assert page.status == 200 and "tab-symbols" not in page.text and "because symbols of" not in page.text
    assert '<span class="no-symbols"' in page.text


def test_symbols_that_do_not_help_make_no_loop(datil, tmp_path):
    crash_id = crash_of(datil, program(tmp_path, "hopeless"))
    mine = wanted(datil.wait_processed(crash_id), "hopeless")
    # A file whose text is of another module: stored under the name, and of no use.
    (tmp_path / "hopeless.sym").write_text(f"MODULE Linux x86_64 {mine['debug_id']} hopeless\nFUNC zz\n")
    datil.datil("symbols", "add", tmp_path / "hopeless.sym", check=False)
    datil.sql("UPDATE symbol_file SET key = %s WHERE key LIKE 'bare thing/%%'",
              f"hopeless/{mine['debug_id']}/hopeless.sym")
    datil.sql("UPDATE symbol_file SET completed_at = now() WHERE key LIKE 'hopeless/%%'")
    assert queue_arrived(datil)[0] == 1
    wait_until(lambda: passes(datil, crash_id) == 2, what="the second pass")
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue") == [(0,)], what="an empty queue")
    assert queue_arrived(datil) == (0, 0) and passes(datil, crash_id) == 2


def test_symbols_of_other_servers(datil, tmp_path):
    """They have a file and no row; while they were still being sent the crash is looked at again anyway."""
    crash_id = crash_of(datil, program(tmp_path, "fetched"))
    mine = wanted(datil.wait_processed(crash_id), "fetched")
    assert queue_arrived(datil) == (0, 0)
    folder = datil.var / "symbols/cache/v1/fetched" / mine["debug_id"]
    folder.mkdir(parents=True)
    with gzip.open(folder / "fetched.sym.gz", "wb") as out:
        out.write(subprocess.run([str(BIN / "datil-dump-syms"), str(tmp_path / "fetched")], stdout=subprocess.PIPE,
                                 check=True).stdout)
    minute_ago = time.time() - 61  # as long as clocks may differ
    os.utime(folder / "fetched.sym.gz", (minute_ago, minute_ago))
    datil.own(datil.var / "symbols/cache")
    datil.sql("UPDATE crash_lacks_symbols SET walked = walked - interval '1 minute' WHERE crash_id = %s", crash_id)
    assert queue_arrived(datil)[0] == 1
    wait_until(lambda: passes(datil, crash_id) == 2, what="the second pass")
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue") == [(0,)], what="an empty queue")
    assert queue_arrived(datil) == (0, 0)

    def pend(passes_so_far):
        datil.sql("UPDATE crash_lacks_symbols SET pending_passes = %s, walked = now() - interval '3 minutes' "
                  "WHERE crash_id = %s AND debug_id = (SELECT min(debug_id) FROM crash_lacks_symbols WHERE crash_id = %s)",
                  passes_so_far, crash_id, crash_id)
    pend(4)
    assert queue_arrived(datil) == (0, 0)  # three times in a row are enough
    pend(3)
    assert queue_arrived(datil)[0] == 1
    wait_until(lambda: passes(datil, crash_id) == 3, what="the third pass")
    assert datil.sql("SELECT max(pending_passes) FROM crash_lacks_symbols WHERE crash_id = %s", crash_id) == [(0,)]


def test_many_modules_take_a_crash_once_and_limits_hold(datil, tmp_path):
    crashes = [crash_of(datil, program(tmp_path, f"part{n}")) for n in range(3)]
    for each in crashes:
        datil.wait_processed(each)
    # Everything that these crashes lack arrives, of 20 modules each.
    datil.sql("INSERT INTO symbol_file (area, key, \"update\", compressed, size, completed_at) "
              "SELECT DISTINCT 'regular', 'x/' || debug_id || '/x.sym', false, true, 1, clock_timestamp() "
              "  FROM crash_lacks_symbols WHERE crash_id = ANY(%s::uuid[])", crashes)
    before = datil.sql("SELECT crashes FROM symbols_reprocessed WHERE debug_id = '' AND day = current_date")[0][0]
    datil.env["SYMBOLS_REPROCESS_MAX"] = str(before + 2)
    try:
        queued, more = queue_arrived(datil)
        assert queued == 2 and more >= 1
        assert queue_arrived(datil) == (0, more)
        datil.env["SYMBOLS_REPROCESS_DAYS"] = "0"
        assert "switched off" in datil.datil("cron", "run", "reprocesslacking", "--job-arg", "quiet=0").stdout
    finally:
        datil.env.pop("SYMBOLS_REPROCESS_MAX")
        datil.env.pop("SYMBOLS_REPROCESS_DAYS", None)
    assert sum(queue_arrived(datil)) == more
    wait_until(lambda: all(passes(datil, c) == 2 for c in crashes), what="each once more")
    assert queue_arrived(datil) == (0, 0)


def test_a_job_that_is_killed_is_repeated(datil, tmp_path):
    crash_id = crash_of(datil, program(tmp_path, "victim"))
    mine = wanted(datil.wait_processed(crash_id), "victim")
    run_command(datil, mine["command"], tmp_path)
    with psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil") as other:
        other.cursor().execute("LOCK TABLE crash_queue IN SHARE MODE")  # it stops between taking and publishing
        job = subprocess.Popen([str(BIN / "datil"), "cron", "run", "reprocesslacking", "--job-arg", "quiet=0"], env=datil.env,
                               stdout=subprocess.PIPE, start_new_session=True)
        blocked = ("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                   "AND query LIKE '%%INSERT INTO crash_queue%%'")
        wait_until(lambda: datil.sql(blocked), what="the job waiting")
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        datil.sql(f"SELECT pg_terminate_backend(pid) FROM ({blocked}) AS b")  # as the server would find out later
    assert queue_arrived(datil)[0] == 1
    wait_until(lambda: wanted(datil.processed(crash_id), "victim") is None, what="names")
    assert passes(datil, crash_id) == 2


def test_deleted_crashes_leave_nothing(datil, tmp_path):
    crash_id = crash_of(datil, program(tmp_path, "gone"))
    datil.wait_processed(crash_id)
    count = "SELECT count(*) FROM crash_lacks_symbols WHERE crash_id = %s"
    wait_until(lambda: datil.sql(count, crash_id) > [(0,)], what="what it lacks")
    datil.datil("crash", "delete", crash_id)
    assert datil.sql(count, crash_id) == [(0,)]
    datil.sql("INSERT INTO crash_lacks_symbols (crash_id, debug_id, walked, day) "
              "VALUES (%s, 'AB0', now(), current_date - 8)", crash_id)
    queue_arrived(datil)
    assert datil.sql(count, crash_id) == [(0,)]
