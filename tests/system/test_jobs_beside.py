"""Jobs beside each other: one that hangs makes no other late, and whatever is killed, none runs twice."""
import signal
import socket
import socketserver
import threading

import pytest

from harness import Installation, wait_until


class Hanging(socketserver.ThreadingTCPServer):
    """Takes requests and answers none; who waits, and the most that ever waited at once, by the first part of the path."""

    daemon_threads = allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), None)
        self.lock, self.waiting, self.most, self.seen = threading.Lock(), {}, {}, {}
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request, client_address):
        path = request.recv(65536).split(b" ")[1].decode().split("/")[1]
        with self.lock:
            self.waiting.setdefault(path, []).append(request)
            self.seen[path] = self.seen.get(path, 0) + 1
            self.most[path] = max(self.most.get(path, 0), len(self.waiting[path]))
        try:
            while request.recv(65536):
                pass
        except OSError:
            pass
        with self.lock:
            self.waiting[path].remove(request)

    def let_go(self, path):
        with self.lock:
            for request in self.waiting[path]:
                request.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def hanging():
    server = Hanging()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def jobs(hanging):
    limits = {f"{key}_TIMEOUT_MS": "600000" for key in ("BZAPI", "PCI_IDS")}
    with Installation(CRON_INTERVAL_S="1", BZAPI_BASE_URL=f"{hanging.url}/bugs", PCI_IDS_URL=f"{hanging.url}/pci",
                      CRON_JOBS="compactindex every=1m time=none", **limits) as datil:
        yield datil


def make_due(datil, job):
    wait_until(lambda: datil.sql("UPDATE cron_job SET next_run = now() - interval '1 second', last_run = NULL "
                                 "WHERE app_name = %s RETURNING 1", job), 30, f"a row of {job}")


def wait_run(datil, job):
    wait_until(lambda: datil.sql("SELECT 1 FROM cron_job WHERE app_name = %s AND last_run IS NOT NULL", job), 30, f"a run of {job}")


def others_run(datil):
    for job in ("crontest", "compactindex"):  # of a minute's limit, of hours
        make_due(datil, job)
    for job in ("crontest", "compactindex"):
        wait_run(datil, job)


def scheduler(datil):
    parents, _ = datil.program_pids("datil-cron")
    assert len(parents) == 1
    return parents.pop()


def runner_of(job, datil):
    """The process below the scheduler, at a moment when this job alone is running."""
    def only_one():
        table, top = datil.processes(), scheduler(datil)
        runners = [pid for pid, (parent, _, _) in table.items() if parent == top]
        running = datil.sql("SELECT app_name FROM cron_job WHERE ongoing IS NOT NULL")
        return runners if len(runners) == 1 and running == [(job,)] else None
    return wait_until(only_one, 30, f"a moment when {job} runs alone")[0]


def wait_hanging(hanging, seen, path="bugs"):
    wait_until(lambda: hanging.seen.get(path, 0) == seen and len(hanging.waiting[path]) == 1, 30, f"request {seen} to hang")


def test_a_job_that_hangs_delays_no_other(jobs, hanging):
    wait_hanging(hanging, 1)
    others_run(jobs)
    make_due(jobs, "update_graphics_pci")
    wait_hanging(hanging, 1, "pci")
    others_run(jobs)  # in the third place
    assert {name for name, in jobs.sql("SELECT app_name FROM cron_job WHERE ongoing IS NOT NULL")} >= {"bugassociations", "update_graphics_pci"}
    assert hanging.seen == hanging.most == {"bugs": 1, "pci": 1}
    hanging.let_go("pci")
    wait_run(jobs, "update_graphics_pci")


def test_a_killed_runner_is_a_failure_of_its_job(jobs, hanging):
    seen = hanging.seen["bugs"]
    others_run(jobs)
    jobs.kill(runner_of("bugassociations", jobs))
    wait_until(lambda: jobs.sql("SELECT ongoing, error_count, last_error ->> 'type' FROM cron_job WHERE app_name = 'bugassociations'")
               == [(None, 1, "killed by signal 9")], 20, "the state")
    make_due(jobs, "bugassociations")
    wait_hanging(hanging, seen + 1)
    others_run(jobs)


def test_a_killed_scheduler_leaves_nothing_that_runs_twice(jobs, hanging):
    seen = hanging.seen["bugs"]
    before = scheduler(jobs)
    jobs.kill(before)
    wait_hanging(hanging, seen + 1)  # due as before, so the next scheduler begins it anew
    assert scheduler(jobs) != before
    others_run(jobs)
    assert hanging.most["bugs"] == 1


def test_a_scheduler_that_is_told_to_stop_stops_all(jobs, hanging):
    seen = hanging.seen["bugs"]
    jobs.kill(scheduler(jobs), signal.SIGTERM)
    wait_until(lambda: jobs.sql("SELECT 1 FROM cron_job WHERE app_name = 'bugassociations' AND last_error ->> 'type' = 'stopped' "
                                "AND ongoing IS NULL"), 20, "the state of the stopped job")
    make_due(jobs, "bugassociations")
    wait_hanging(hanging, seen + 1)
    jobs.stop()
    wait_until(lambda: not any(hanging.waiting.values()), 10, "jobs that end")
    assert hanging.most["bugs"] == 1
