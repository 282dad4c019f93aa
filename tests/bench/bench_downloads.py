"""Downloads of symbols: misses, redirects and files, beside what nginx does with a static file.

Nginx's own rate is that of a server block with nothing but a root and nginx's own log, for as many files of the very bytes
that a stored file has; everything else is the same: client, connections, length.  Both are measured in turn, and the middle
ratio counts.  Requests are sent in rows of 250 on four connections, so that this program costs little.  Two numbers for
each kind: answers in a second of the clock, which others on the machine spoil, and answers for two seconds
of processor time of everything behind the port (nginx, the program, PostgreSQL), which they do not: what two
cores would answer if they had nothing else to do.
"""
import io
import os
import signal
import socket
import sys
import threading
import time
import zipfile
from pathlib import Path

from sample import Installation, cpu_s

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import multipart, wait_until  # noqa: E402

ROW, CONNECTIONS, SYMBOLS, HISTORY, ROUNDS, STORED = 250, 4, 500, 1000000, 5, 80000


OWN = """
server {{
    listen 127.0.0.1:{port};
    root {root};
    access_log {log} combined;
}}
"""


def ask(port, paths, headers, statuses):
    """Sends all of them, ROW at a time, and counts the answers by status."""
    for at in range(0, len(paths), ROW):
        row = paths[at:at + ROW]
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: symbols.bench\r\n%s\r\n" % (p, headers) for p in row[:-1]) +
                      b"GET %s HTTP/1.1\r\nHost: symbols.bench\r\nConnection: close\r\n%s\r\n" % (row[-1], headers))
            data = bytearray()
            while piece := s.recv(1 << 18):
                data += piece
        for status in (b"200", b"302", b"404"):
            statuses[status] = statuses.get(status, 0) + data.count(b"HTTP/1.1 " + status + b" ")


def measure(datil, label, paths, status, count, headers=b"", port=None):
    paths = (paths * (count // len(paths) + 1))[:count]
    share = count // CONNECTIONS
    found = [{} for _ in range(CONNECTIONS)]
    before, start = cpu_s(datil), time.monotonic()
    threads = [threading.Thread(target=ask, args=(port or datil.port, paths[i * share:(i + 1) * share], headers, found[i]))
               for i in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took, cpu = time.monotonic() - start, cpu_s(datil) - before
    right = sum(f.get(status, 0) for f in found)
    assert right == share * CONNECTIONS, (label, found)
    rate = 2 * right / cpu
    print(f"{label:44} {right / took:9.0f}/s {rate:9.0f} by two cores")
    return rate


with Installation(SYMBOLS_WORKERS="4") as datil:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own_port = free.getsockname()[1]
    root = datil.var / "own"
    root.mkdir()
    root.chmod(0o755)
    log = datil.var / "log/own.log" # made here, for nginx may make none in this folder
    log.touch()
    log.chmod(0o666)
    conf = datil.var / "nginx/http.conf"
    conf.write_text(conf.read_text().replace("geo $datil_limited {\n", "geo $datil_limited {\n    127.0.0.1 0;\n") +
                    OWN.format(port=own_port, root=root, log=log))
    master = int((datil.var / "run/nginx/nginx.pid").read_text())
    os.kill(master, signal.SIGHUP)
    datil.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
    token = datil.token("uploader@example.org", "upload_symbols")
    names = [f"lib{i}.so/{i:032X}0/lib{i}.so.sym" for i in range(1, SYMBOLS + 1)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for n, name in enumerate(names, 1):
            lib, debug_id, _ = name.split("/")
            z.writestr(name, f"MODULE Linux x86_64 {debug_id} {lib}\nINFO CODE_ID 5{n:07X}1000 lib{n}.dll\n" +
                       "".join(f"FUNC {f * 16:x} 10 0 function_{f * n}\n" for f in range(300)))
    kind, body = multipart({}, {"s.zip": out.getvalue()})
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}).status == 201
    # A history as after years, so that indexes have the depth that they will have.
    datil.sql("INSERT INTO symbol_file (area, key, debug_filename, debug_id, code_file, code_id, \"update\", compressed, size, "
              "created_at, completed_at) SELECT 'regular', 'old' || n %% 1000 || '.pdb/' || upper(md5(n::text)) || '1/old.sym', "
              "'old' || n %% 1000 || '.pdb', upper(md5(n::text)) || '1', 'old' || n %% 1000 || '.dll', upper(to_hex(n)) || '1000', "
              f"false, true, n, now() - n * interval '1 minute', now() FROM generate_series(1, {HISTORY}) n")
    datil.sql("INSERT INTO symbol_object (area, key, stored_size, original_size, original_md5, content_type) SELECT area, key, "
              "size, size, md5(key), 'text/plain' FROM symbol_file WHERE key LIKE 'old%%'")
    datil.sql("ANALYZE symbol_file; ANALYZE symbol_object")
    wait_until(lambda: datil.get("/symbols/" + names[0]).status == 302, 20, "the first answer")

    static = next((datil.var / "symbols/v1").glob("lib1.so/*/*.gz"))
    folder = datil.var / "symbols/v1"
    files = [b"/symbols-files/v1/" + n.encode() for n in names]
    gzip = b"Accept-Encoding: gzip\r\n"
    for name in names:
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(static.read_bytes())
    own = [b"/" + n.encode() for n in names]
    ratios = []
    for _ in range(ROUNDS):
        bare = measure(datil, f"nginx: files of {static.stat().st_size} bytes", own, b"200", STORED, port=own_port)
        ratios.append((measure(datil, "stored files, packed", files, b"200", STORED, gzip) / bare,
                       measure(datil, "stored files, unpacked by nginx", files, b"200", STORED // 4) / bare))
    for label, found in zip(("packed", "unpacked"), zip(*ratios)):
        print(f"{'stored files, ' + label:44} {sorted(found)[ROUNDS // 2]:.2f} of nginx's own, {min(found):.2f} to {max(found):.2f}")
    measure(datil, "misses, debug ids",
            [b"/nosuch%d.so/%032X0/nosuch%d.so.sym" % (i, i + 9999999, i) for i in range(5000)], b"404", 20000)
    measure(datil, "misses, code ids", [b"/nosuch%d.dll/5%07X2000/nosuch%d.sym" % (i, i, i) for i in range(5000)], b"404", 20000)
    measure(datil, "redirects to stored files", [b"/" + n.encode() for n in names], b"302", 20000)
    measure(datil, "redirects by code id", [b"/lib%d.dll/5%07X1000/lib%d.sym" % (n, n, n) for n in range(1, SYMBOLS + 1)],
            b"302", 20000)
    measure(datil, "ignored requests", [b"/a.so/ABC1/file.ptr"], b"404", 20000)

    # A part of a key among all of the history.
    auditor = datil.token("uploader@example.org")
    datil.sql("INSERT INTO app_user_permission SELECT id, 'view_all_uploads' FROM app_user")
    auditor = datil.token("uploader@example.org", "view_all_uploads")
    for label, key in (("a rare part of a key", "lib77.so"), ("one of a thousand", "old77.pdb"), ("two parts", "old77,abc"),
                       ("all of them", ".pdb"), ("two letters", "ol")):
        best = 9.0
        for _ in range(8):  # the planner makes up its mind after five
            start = time.monotonic()
            answer = datil.get("/symbols/api/uploads/files/", {"key": key}, {"Auth-Token": auditor})
            best = min(best, time.monotonic() - start)
            assert answer.status == 200, answer
        print(f"files with {label + ' (' + key + ')':36} {best * 1000:9.1f} ms   {answer.json['total']} found among {HISTORY}")
