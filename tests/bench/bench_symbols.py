"""Uploads of symbols: ten thousand small members, one large one, one member a thousand times over.

Ten thousand members are also compared with the least that they can cost on this file system at this
moment: the same folders and files made by this program, and two flushes.  The ratio holds on another
machine; the seconds do not.
"""
import ctypes
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

from sample import Installation

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import BIN, multipart  # noqa: E402

SMALL, LARGE_FUNCS = 10000, 1500000
CSYM_BYTES = 1700  # of one small member


def archive(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in members:
            z.writestr(name, text)
    return out.getvalue()


def symbols(i, funcs=20):
    name, debug_id = f"lib{i}.so", f"{i:032X}0"
    lines = [f"MODULE Linux x86_64 {debug_id} {name}", f"INFO CODE_ID {i:016X}"]
    lines += [f"FUNC {0x1000 + f * 16:x} 10 0 function_{f * 7919}" for f in range(funcs)]
    return f"{name}/{debug_id}/{name}.sym", "\n".join(lines) + "\n"


def sharing(n, member):
    one = archive([member])
    at = struct.unpack_from("<I", one, len(one) - 6)[0]
    name = member[0].encode()
    entry = one[at:-22]
    entries = b"".join(entry.replace(name, name[:-9] + b"%05d.sym" % i) for i in range(n))
    return one[:at] + entries + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, n, n, len(entries), at, 0)


def flush(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    assert ctypes.CDLL(None).syncfs(fd) == 0
    os.close(fd)


def put(path, data):
    with open(path, "xb", buffering=0) as f:
        f.write(data)


def bare(folder, first):
    """Seconds for the folders and files of SMALL members, without temporary names, reader and database."""
    members = [symbols(i) for i in range(first, first + SMALL)]
    start = time.monotonic()
    for below in ["v1", "cache", "ids", *(f"ids/{i:02X}" for i in range(256))]:
        os.makedirs(f"{folder}/{below}")
    for name, text in members:
        debug_file, debug_id, file = name.split("/")
        os.mkdir(f"{folder}/v1/{debug_file}")
        os.mkdir(f"{folder}/v1/{debug_file}/{debug_id}")
        os.mkdir(f"{folder}/cache/{debug_file}")
        put(f"{folder}/v1/{debug_file}/{debug_id}/{file}.gz", zlib.compress(text.encode(), 5))
        put(f"{folder}/cache/{debug_file}/{debug_id}.csym", bytes(CSYM_BYTES))
        put(f"{folder}/ids/{debug_id[-3:-1]}/{debug_id}", debug_file.encode())
    flush(folder)
    flush(folder)
    return time.monotonic() - start


with Installation() as datil:
    datil.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
    token = datil.token("uploader@example.org", "upload_symbols")

    def timed(label, data, status=201):
        kind, body = multipart({}, {"s.zip": data})
        start = time.monotonic()
        answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}, timeout_s=600)
        took = time.monotonic() - start
        assert answer.status == status, answer
        print(f"{label:52} {took:8.2f} s   {len(data) / 1e6:8.1f} MB packed")
        return took

    def added(label, data):
        path = datil.var / "small.zip"
        path.write_bytes(data)
        start = time.monotonic()
        subprocess.run([str(BIN / "datil"), "symbols", "add", str(path)], env=datil.env, check=True,
                       stdout=subprocess.DEVNULL)
        took = time.monotonic() - start
        path.unlink()
        print(f"{label:52} {took:8.2f} s   {len(data) / 1e6:8.1f} MB packed")
        return took

    small = archive([symbols(i) for i in range(1, SMALL + 1)])
    least = bare(datil.var / "bare-1", 1)
    print(f"{f'{SMALL} members of 1 KB, files and folders alone':52} {least:8.2f} s")
    print(f"{'':52} {timed(f'{SMALL} members of 1 KB', small) / least:8.2f} times that")
    timed("the same again, all skipped", small)
    others = SMALL * 2
    least = bare(datil.var / "bare-2", others)
    print(f"{f'{SMALL} members of 1 KB, files and folders alone':52} {least:8.2f} s")
    took = added(f"{SMALL} members of 1 KB by datil symbols add", archive([symbols(i) for i in range(others, others + SMALL)]))
    print(f"{'':52} {took / least:8.2f} times that")
    large = symbols(SMALL + 1, LARGE_FUNCS)
    timed(f"one member of {len(large[1]) / 1e6:.0f} MB", archive([large]))
    timed("one member of 1 KB", archive([symbols(SMALL + 2)]))
    timed("1000 entries of one member, refused", sharing(1000, symbols(SMALL + 3, 300000)), 400)
