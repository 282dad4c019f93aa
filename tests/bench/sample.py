"""What the benchmarks post: real dumps of the example program, with its symbols in the store."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import BIN, Installation, wait_until  # noqa: E402,F401

WAYS = ["null", "abort", "illegal", "div-zero", "use-after-free", "thread"]


def add_symbols(datil):
    with tempfile.TemporaryDirectory() as folder:
        libs = re.findall(r"(/\S+\.so\S*)", subprocess.run(["ldd", str(BIN / "crashme")], text=True,
                                                          stdout=subprocess.PIPE, check=True).stdout)
        for binary in [str(BIN / "crashme"), *libs]:
            subprocess.run([str(BIN / "datil-dump-syms"), "--store", folder, binary], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        datil.datil("symbols", "add", folder)


def real_dumps(datil):
    """Crashes the example in every way; returns the minidumps that arrived."""
    dumps = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([str(BIN / "crashme"), way, "--url", f"{datil.base}/submit", "--database", folder],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        crash_id = re.search(r"bp-([0-9a-f-]{36})", done.stdout)[1]
        datil.wait_processed(crash_id)
        path = next((datil.var / "store").glob(f"*/upload_file_minidump/{crash_id}"))
        dumps.append(path.read_bytes())
    return dumps


def cpu_s(datil):
    """Processor time of everything in an installation, of children that have ended too."""
    total = 0
    for pid in datil.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(f) for f in fields[11:15])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]
