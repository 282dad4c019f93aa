"""Who of an installation can be killed, by kind, and what a client does meanwhile: it sends again.
The kill test and the kill benchmark stand on it."""
import http.client
import os
import re
import time


def watches_files(pid):
    """The mover is the child of the collector that waits for files to appear in the spool, the carrier that of the receiver of pings."""
    try:
        return any("inotify" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def victims(datil):
    """kind -> pids that may be killed; the supervisor and the walkers, which live for milliseconds, are not among
    them."""
    table = datil.processes()

    def titled(start):
        return {pid for pid, (_, _, command) in table.items() if command.startswith(start)}
    kinds = {}
    for program in ("collector", "webapp", "symbols", "pings", "processor"):
        kinds[f"{program} parent"], kinds[program] = datil.program_pids(f"datil-{program}")
    kinds["mover"] = {pid for pid in kinds["collector"] if watches_files(pid)}
    kinds["collector"] -= kinds["mover"]
    kinds["carrier"] = {pid for pid in kinds["pings"] if watches_files(pid)}
    kinds["pings"] -= kinds["carrier"]
    kinds["cron"] = set().union(*datil.program_pids("datil-cron"))
    kinds["postgres"] = {pid for pid, (_, comm, command) in table.items() if comm == "postgres" and " -D " in command}
    kinds["postgres backend"] = titled("postgres: datil ")
    kinds["nginx master"] = titled("nginx: master")
    kinds["nginx worker"] = titled("nginx: worker")
    return kinds


def catch_walker(workers, feed=None):
    """A walk takes milliseconds: look for the child of a processor worker again and again, while feed() lets one more
    report come every few milliseconds (at most 30)."""
    now = time.monotonic()
    end, next_feed, fed = now + 2, now, 0
    while time.monotonic() < end:
        if feed and fed < 30 and time.monotonic() >= next_feed:
            feed()
            fed, next_feed = fed + 1, time.monotonic() + 0.02
        for worker in workers:
            try:
                with open(f"/proc/{worker}/task/{worker}/children") as children:
                    found = children.read().split()
            except OSError:
                continue
            if found:
                return [int(found[0])]
    return []


def send_until_answered(datil, kind, body, timeout_s, pause_s=0.05):
    """The crash id of a report that is sent as often as needed: a client whose post fails (somebody was killed) keeps
    the report.  None: no answer in timeout_s."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            answer = datil.request("POST", "/submit", body, {"Content-Type": kind}, timeout_s=30)
        except (OSError, http.client.HTTPException):  # nginx was killed: refused, or cut off
            time.sleep(pause_s)
            continue
        found = re.fullmatch(rb"CrashID=bp-([0-9a-f-]{36})\n", answer.body)
        if answer.status == 200 and found:
            return found[1].decode()
        time.sleep(pause_s)
    return None
