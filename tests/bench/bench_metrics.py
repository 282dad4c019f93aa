"""What metrics cost: the share of an accepted report and of a finished crash that goes into counting.  Events of each are counted by
what arrives at a statsd, their price is that of tests/bench/metric_cost.c, and the whole is what the programs themselves measure."""
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, wait_until  # noqa: E402

REPORTS = int(os.environ.get("REPORTS", "100"))


def mean(it, path, name):
    text = it.local(path)[1]

    def value(end):
        return sum(float(v) for v in re.findall(rf"^{name}_{end}(?:\{{.*\}})? (\S+)$", text, re.M))
    return value("sum") / value("count"), value("count")


def main():
    price = dict(line.split() for line in subprocess.run(
        [f"{os.environ['BUILD']}/bench/metric_cost"], capture_output=True, text=True, check=True,
        env={**os.environ, "DATIL_VAR": "/tmp"}).stdout.splitlines())
    for name, ns in price.items():
        print(f"{name:8} {ns:>7} ns")
    lines = {"collector": 0, "processor": 0}
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("127.0.0.1", 0))

    def receive():
        while True:
            for line in receiver.recv(65536).split(b"\n"):
                program = line.split(b".")[1].decode()
                if b"|g|" not in line and b".index.sync" not in line and program in lines:
                    lines[program] += 1
    threading.Thread(target=receive, daemon=True).start()
    with Installation(STATSD_HOST="127.0.0.1", STATSD_PORT=str(receiver.getsockname()[1])) as it:
        dump = b"MDMP" + bytes(300000)
        for n in range(REPORTS):
            it.post({"Comments": str(n)}, dump=dump)
        wait_until(lambda: mean(it, "/processor/__metrics__", "socorro_processor_process_crash")[1] >= REPORTS, 600, "processing")
        for what, program, path, name in (
                ("accepted report", "collector", "/collector/__metrics__", "socorro_collector_breakpad_resource_on_post_time"),
                ("finished crash", "processor", "/processor/__metrics__", "socorro_processor_process_crash")):
            seconds, count = mean(it, path, name)
            events = lines[program] / count
            for kind in ("timing", "statsd"):
                ns = float(price[kind]) * events
                print(f"{what}: {seconds * 1000:7.2f} ms, {events:5.1f} events, "
                      f"{'counted' if kind == 'timing' else 'sent to statsd too'}: {ns / 1000:6.1f} us = {ns / seconds / 1e7:.3f} %")


main()
