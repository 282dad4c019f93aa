"""Uploads of symbols: ten thousand small members, one large one, one member a thousand times over."""
import io
import struct
import time
import zipfile

from sample import Installation

SMALL, LARGE_FUNCS = 10000, 1500000
from pathlib import Path
import sys
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import multipart  # noqa: E402


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

    small = archive([symbols(i) for i in range(1, SMALL + 1)])
    timed(f"{SMALL} members of 1 KB", small)
    timed("the same again, all skipped", small)
    large = symbols(SMALL + 1, LARGE_FUNCS)
    timed(f"one member of {len(large[1]) / 1e6:.0f} MB", archive([large]))
    timed("one member of 1 KB", archive([symbols(SMALL + 2)]))
    timed("1000 entries of one member, refused", sharing(1000, symbols(SMALL + 3, 300000)), 400)
