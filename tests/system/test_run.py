"""The start script: messages, a second start over the same directory, stopping everything."""
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import ROOT, Installation, wait_until


def test_taken_port_names_the_variable():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        it = Installation(DATIL_PORT=str(s.getsockname()[1]))
        try:
            said = it.ctl("run", "--no-demo", check=False)
            assert "DATIL_PORT" in said and str(s.getsockname()[1]) in said
        finally:
            it.close()


def test_second_start_keeps_what_is_there(fresh):
    datil = fresh
    crash_id = datil.post()
    datil.wait_processed(crash_id)
    datil.stop()
    said = datil.ctl("up", "--no-demo")
    datil.running = True
    assert "Password" not in said  # printed once
    assert datil.processed(crash_id)["crash_id"] == crash_id
    assert datil.search(uuid=crash_id)["total"] == 1


def test_ctrl_c_stops_every_process():
    it = Installation()
    try:
        proc = subprocess.Popen([str(ROOT / "tools/run/datilctl"), "run", "--no-demo"], env=it.env,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                # Bash traps no signal that is ignored when it starts, as below `nohup … &`.
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        for line in proc.stdout:
            if "Ctrl-C" in line:
                break
        pids = it.processes()
        assert len(pids) > 10
        os.killpg(proc.pid, signal.SIGINT)  # what the terminal does
        try:
            proc.wait(60)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there: {it.processes()}\n{it.logs()}")
        alive = lambda: [p for p in pids if os.path.exists(f"/proc/{p}")]
        wait_until(lambda: not alive(), 10, "every process to be gone")
    finally:
        it.close()


def test_long_directory_names_the_variable(tmp_path):
    it = Installation()
    try:
        it.env["DATIL_VAR"] = str(it.dir / ("x" * 100))
        said = it.ctl("run", "--no-demo", check=False)
        assert "DATIL_RUN" in said
    finally:
        it.close()


def test_retention_removes_everywhere(datil):
    """A crash older than the limit disappears from store, ledger and index; a young one stays."""
    old = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - 200 * 86400))
    old_id = "00000000-0000-4000-8000-000000" + old[2:4] + old[5:7] + old[8:10]
    doc = ('{"uuid":"%s","crash_id":"%s","date_processed":"%s","submitted_timestamp":"%s",'
           '"product":"Crashme","version":"1.0","signature":"ancient"}\n') % (old_id, old_id, old, old)
    datil.datil("crash", "load", "-", stdin=doc)
    young = datil.post()
    datil.wait_processed(young)
    assert datil.processed(old_id)["signature"] == "ancient"
    assert datil.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s", old_id)
    datil.datil("cron", "run", "retention")
    assert datil.processed(old_id) is None
    assert not datil.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s", old_id)
    assert not list((datil.var / "store").glob(f"*/*/{old_id}*"))
    assert datil.processed(young)
    done = datil.datil("doctor", check=False)
    assert done.returncode == 0, done.output
