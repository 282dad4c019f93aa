"""POST /submit through nginx: every reply of the contract, what the store holds afterwards, and the
bodies of the clients that are in the field."""
import concurrent.futures
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import zlib

import fastcgi
import pytest
from harness import ANNOTATIONS, BIN, ROOT, Installation, multipart, wait_until
from test_web_runner import PASSWORD, Browser

ACCEPTED = re.compile(rb"CrashID=bp-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n")
B = "multipart/form-data; boundary=b"
TOKEN = "Bearer first-token"


@pytest.fixture(scope="module")
def collector():
    with Installation(BREAKPAD_STAGE_SUBMITTER_BEARER_TOKEN="old-token, first-token") as it:
        yield it


def post(datil, body, content_type=B, query="", **headers):
    head = {k.replace("_", "-"): v for k, v in headers.items()}
    return datil.request("POST", "/submit" + query, body, {"Content-Type": content_type, **head})


def stored(datil, answer):
    """(raw crash, dump names, files) of an accepted report once the mover has carried it."""
    found = ACCEPTED.fullmatch(answer.body)
    assert answer.status == 200 and found, answer
    crash_id = found[1].decode()
    day = datil.var / "store" / f"20{crash_id[-6:]}"
    path = day / "raw_crash" / f"{crash_id}.json"
    wait_until(path.exists, what=f"{path}")
    names = json.loads((day / "dump_names" / f"{crash_id}.json").read_text())
    return json.loads(path.read_text()), names, {n: (day / n / crash_id).read_bytes() for n in names}


class Answer:
    def __init__(self, data):
        self.head, _, self.body = data.partition(b"\r\n\r\n")
        self.status = int(self.head.split(b" ")[1])


def send_raw(datil, data):
    """Bytes as they are; the answer up to the end of its body, or of the connection."""
    with socket.create_connection(("127.0.0.1", datil.port), timeout=20) as s:
        s.sendall(data)
        out = b""
        while chunk := s.recv(65536):
            out += chunk
    return Answer(out)


def field(name, value):
    return f'--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n'.encode()


def json_part(value, disposition='name="extra"; filename="extra.json"'):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return (f"--b\r\nContent-Disposition: form-data; {disposition}\r\n"
            "Content-Type: application/json\r\n\r\n").encode() + text + b"\r\n"


def file_part(name, data, content_type="application/octet-stream"):
    return (f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.dmp"\r\n'
            f"Content-Type: {content_type}\r\n\r\n").encode() + data + b"\r\n"


END = b"--b--\r\n"
FIELDS = b"".join(field(k, v) for k, v in ANNOTATIONS.items())


def test_the_document(collector):
    answer = post(collector, json_part({**ANNOTATIONS, "Notes": "é", "Number": 5, "Email": "a@b.c"})
                  + file_part("upload_file_minidump", b"MDMP\r\n--bx") + file_part("memory_report", b"x", "application/gzip")
                  + END, User_Agent="crashreporter/1.0")
    raw, names, files = stored(collector, answer)
    assert names == ["memory_report", "upload_file_minidump"]
    assert files["upload_file_minidump"] == b"MDMP\r\n--bx"
    assert raw["uuid"] == answer.body[11:47].decode() and raw["version"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", raw["submitted_timestamp"])
    assert raw["Notes"] == "é" and raw["Number"] == 5 and "Email" not in raw
    assert raw["metadata"] == {
        "payload": "json", "payload_compressed": "0", "payload_size": raw["metadata"]["payload_size"],
        "collector_notes": ["unknown content type: memory_report application/gzip",
                            "Removed Email from raw crash."],
        "dump_checksums": {k: hashlib.sha256(v).hexdigest() for k, v in files.items()},
        "user_agent": "crashreporter/1.0", "throttle_rule": "accept_everything",
        "throttle_rate": 1,
    }


def test_text_of_the_document(collector):
    answer = post(collector, FIELDS + field("b", "é") + field("a", "1") + END)
    crash_id = ACCEPTED.fullmatch(answer.body)[1].decode()
    stored(collector, answer)
    text = (collector.var / "store" / f"20{crash_id[-6:]}" / "raw_crash" / f"{crash_id}.json").read_text()
    assert text.startswith('{"BuildID": "') and not text.endswith("\n")
    assert '"a": "1", "b": "\\u00E9", "metadata": {"collector_notes": [], ' in text


def packed(kind, data):
    if kind == "zstd":
        return subprocess.run(["zstd", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    if kind == "raw deflate":
        z = zlib.compressobj(wbits=-15)
        return z.compress(data) + z.flush()
    return zlib.compress(data) if kind == "deflate" else gzip.compress(data)


@pytest.mark.parametrize("kind,header", [
    ("gzip", "gzip"), ("gzip", "GZip"), ("gzip", "x-gzip"), ("deflate", "deflate"),
    ("raw deflate", "deflate"), ("zstd", "zstd")])
def test_codings(collector, kind, header):
    body = FIELDS + file_part("upload_file_minidump", b"MDMP" * 1000) + END
    try:
        wire = packed(kind, body)
    except FileNotFoundError:
        pytest.skip(f"no program to make {kind}")
    raw, _, files = stored(collector, post(collector, wire, Content_Encoding=header))
    assert files == {"upload_file_minidump": b"MDMP" * 1000}
    assert raw["metadata"]["payload_compressed"] == "1"
    assert raw["metadata"]["payload_size"] == len(wire)


MALFORMED = {
    "gzip cut off": ("bad_gzip", gzip.compress(FIELDS + END)[:-4], {"Content_Encoding": "gzip"}),
    "gzip is none": ("bad_gzip", FIELDS + END, {"Content_Encoding": "gzip"}),
    "bad gzip counts before bad JSON": ("bad_gzip", gzip.compress(json_part(b"{") + b"x" * 100000)[:-4], {"Content_Encoding": "gzip"}),
    "zstd is none": ("bad_zstd", FIELDS + END, {"Content_Encoding": "zstd"}),
    "gzip without header": ("invalid_payload_structure", gzip.compress(FIELDS + END), {}),
    "other coding": ("unsupported_content_encoding", FIELDS + END, {"Content_Encoding": "br"}),
    "no end": ("invalid_payload_structure", FIELDS, {}),
    "bare line feeds": ("invalid_payload_structure", (FIELDS + END).replace(b"\r\n", b"\n"), {}),
    "base64": ("invalid_payload_structure", b"--b\r\nContent-Disposition: form-data; name=a\r\n"
               b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n" + END, {}),
    "long header": ("invalid_payload_structure", b"--b\r\nX: " + b"x" * 9000 + b"\r\n\r\nx\r\n" + END, {}),
    "JSON cut off": ("invalid_json", json_part(b'{"a": 1') + END, {}),
    "JSON with a line feed in a string": ("invalid_json", json_part(b'{"a": "\n"}') + END, {}),
    "JSON not UTF-8": ("invalid_json", json_part(b'{"a": "\xff"}') + END, {}),
    "JSON too deep": ("invalid_json", json_part(b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}") + END, {}),
    "JSON is a list": ("invalid_json_value", json_part([1]) + END, {}),
    "reserved name": ("invalid_dump_name", FIELDS + file_part("raw_crash", b"x") + END, {}),
    "only files": ("no_annotations", file_part("a", b"x") + END, {}),
    "empty JSON object": ("no_annotations", json_part({}) + END, {}),
    "parts without end": ("too_many_parts", FIELDS + b"".join(field(f"k{i}", i) for i in range(5001)) + END, {}),
    "files without end": ("too_many_parts", FIELDS + b"".join(file_part(f"f{i}", b"") for i in range(65)) + END, {}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(collector, name):
    reason, body, headers = MALFORMED[name]
    answer = post(collector, body, **headers)
    assert (answer.status, answer.text) == (400, f"Discarded=malformed_{reason}")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    if reason == "unsupported_content_encoding":
        assert answer.headers["Accept-Encoding"] == "gzip, deflate, zstd"


def test_bomb(collector):
    wire = gzip.compress(FIELDS + file_part("a", bytes(100 << 20)) + END, 1)
    begun = time.monotonic()
    answer = post(collector, wire, Content_Encoding="gzip")
    assert (answer.status, answer.text) == (413, "Discarded=malformed_payload_too_large")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("content_type", [
    "multipart/mixed; boundary=b", "Multipart/Form-Data; charset=utf-8; Boundary=\"b\"",
    "multipart/form-data;boundary=b ; x=y"])
def test_content_types(collector, content_type):
    assert ACCEPTED.fullmatch(post(collector, FIELDS + END, content_type).body)


@pytest.mark.parametrize("boundary", ["", '""', "b" * 71])
def test_bad_boundaries(collector, boundary):
    answer = post(collector, FIELDS + END, f"multipart/form-data; boundary={boundary}")
    assert (answer.status, answer.text) == (400, "Discarded=malformed_no_boundary")


def test_android(collector):
    """Unquoted names, no part types, an extra line end before the last delimiter, gzip."""
    boundary = "-" * 27 + "0123456789abcdef"
    body = b"".join(f"--{boundary}\r\nContent-Disposition: form-data; name={k}\r\n\r\n{v}\r\n".encode()
                    for k, v in {**ANNOTATIONS, "Android_CPU_ABI2": "armeabi"}.items())
    body += f"\r\n--{boundary}--\r\n".encode()
    answer = post(collector, gzip.compress(body), f"multipart/form-data; boundary={boundary}",
                  "?id=x&version=1", Content_Encoding="gzip")
    raw, names, _ = stored(collector, answer)
    assert raw["Android_CPU_ABI2"] == "armeabi\r\n" and names == []
    assert raw["metadata"]["payload"] == "multipart"


def test_crashpad_chunked(collector):
    """Body of unknown length, sent in chunks."""
    boundary = "---MultipartBoundary-0123456789abcdefghijABCDEFGHIJ01---"
    _, body = multipart({"prod": "Crashme", "ver": "1.0", "guid": "g", "a%22b": "%41"},
                        {"upload_file_minidump": b"MDMP"}, boundary)
    wire = gzip.compress(body)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(wire[i:i + 7]), wire[i:i + 7]) for i in range(0, len(wire), 7))
    answer = send_raw(collector, 
        f"POST /submit?product=Other&version=9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Encoding: gzip\r\n"
        "Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n")
    assert b"\r\nContent-Length: 48" in answer.head and b"chunked" not in answer.head
    raw, names, _ = stored(collector, answer)
    assert raw["ProductName"] == "Crashme" and raw["Version"] == "1.0" and raw["prod"] == "Crashme"
    assert raw["a%22b"] == "%41" and names == ["upload_file_minidump"]
    assert "mapped breakpad field names" in raw["metadata"]["collector_notes"]


def test_product_in_the_query(collector):
    raw, _, _ = stored(collector, post(collector, field("guid", "g") + END, B, "?product=Crashme&version=7"))
    assert (raw["ProductName"], raw["Version"]) == ("Crashme", "7")


def test_hundreds_of_thousands_of_annotations(collector):
    """Accepted, cut with a note, and neither the page nor the API is dear afterwards."""
    many = {f"key{i}": "v" for i in range(600000)}
    body = json_part({**many, **ANNOTATIONS, "Comments": "x" * 400000}) + END
    raw, _, _ = stored(collector, post(collector, gzip.compress(body, 1), Content_Encoding="gzip"))
    kept = set(raw) - {"metadata", "uuid", "submitted_timestamp", "version"}
    assert len(kept) == 5000 and {*ANNOTATIONS, "Comments"} <= kept
    assert "dropped 595007 annotations: more than 5000 names" in raw["metadata"]["collector_notes"]
    collector.wait_processed(raw["uuid"])
    collector.add_user("many@example.com", PASSWORD, "--group", "Hackers")
    browser = Browser(collector)
    browser.log_in("many@example.com")
    begun = time.monotonic()
    page = browser.request("GET", f"/report/index/{raw['uuid']}")
    assert page.status == 200 and time.monotonic() - begun < 5
    assert "and 4000 more, in the raw data" in page.text and "(400000 bytes)" in page.text
    assert len(page.body) < 2 << 20


def test_more_values_than_any_report_has(collector):
    body = json_part(b'{"ProductName": "Crashme", "a": [' + b"1," * (5 << 20) + b"1]}") + END
    answer = post(collector, gzip.compress(body, 1), Content_Encoding="gzip")
    assert answer.text == "Discarded=malformed_invalid_json"


def sample(name):
    return (ROOT / "tests/data/reports" / name).read_bytes()


def test_a_part_may_end_with_its_header_block(collector):
    """The line end before a delimiter is the delimiter's: an empty dump, as an Android client sends it."""
    raw, names, files = stored(collector, post(collector, sample("multipart_empty_part.body"),
                                               "multipart/form-data; boundary=b0"))
    assert files == {"upload_file_minidump": b""}
    assert raw["CrashType"] == "fatal native crash"
    done = collector.wait_processed(raw["uuid"])
    assert done["mdsw_status_string"] == "EmptyMinidump"


def test_electron(collector):
    raw, _, _ = stored(collector, post(collector, sample("electron_fields.body"),
                                       "multipart/form-data; boundary=b0", "?product=Electron&version=28.1.0"))
    assert (raw["ProductName"], raw["Version"]) == ("Crashme", "1.0")
    assert (raw["prod"], raw["ver"], raw["_productName"]) == ("Electron", "28.1.0", "Crashme")
    assert "mapped breakpad field names" in raw["metadata"]["collector_notes"]


def add_sentry_product(collector):
    (collector.var / "config/products/sentry.json").write_text(json.dumps(
        {"name": "Flown", "description": "d", "home_page_sort": 9, "submit_tokens": ["0123456789abcdef"]}))


def test_tags_of_a_sentry_event_are_counted_as_annotations(collector):
    add_sentry_product(collector)
    body = (json_part({"release": "flown@3.1", "tags": {f"tag{i}": "v" for i in range(6000)}}, 'name="sentry"')
            + file_part("upload_file_minidump", b"MDMP tags") + END)

    def accepted():
        answer = collector.request("POST", "/api/42/minidump/?sentry_key=0123456789abcdef", body, {"Content-Type": B})
        return answer if answer.status == 200 else None
    answer = wait_until(accepted, what="the product to be known")
    answer.body = b"CrashID=bp-" + answer.body + b"\n"
    raw, _, _ = stored(collector, answer)
    kept = set(raw) - {"metadata", "uuid", "submitted_timestamp", "version"}
    assert len(kept) == 5000 and {"ProductName", "Version"} <= kept
    assert "dropped 1003 annotations: more than 5000 names" in raw["metadata"]["collector_notes"]


def test_a_program_built_for_sentry(collector):
    path = "/api/42/minidump/"
    add_sentry_product(collector)
    body = (json_part({"release": "flown@3.1", "tags": {"arch": "arm"}, "user": {"email": "a@b.c"}}, 'name="sentry"')
            + file_part("upload_file_minidump", b"MDMP sentry") + END)

    def send(query, path=path, **headers):
        return collector.request("POST", path + query, body, {"Content-Type": B, **headers})
    wait_until(lambda: send("?sentry_key=0123456789abcdef").status == 200, what="the product to be known")
    for answer in (send("?sentry_key=0123456789abcdef"), send("?sentry_key=0123456789abcdef", path.rstrip("/")),
                   send("", **{"X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=0123456789abcdef"})):
        assert answer.status == 200 and re.fullmatch(rb"[0-9a-f-]{36}", answer.body)
        assert answer.headers["Content-Type"] == "text/plain"
    answer.body = b"CrashID=bp-" + answer.body + b"\n"
    raw, names, _ = stored(collector, answer)
    assert (raw["ProductName"], raw["Version"], raw["arch"]) == ("Flown", "3.1", "arm")
    assert names == ["upload_file_minidump"] and "a@b.c" not in json.dumps(raw)
    assert "mapped sentry field names" in raw["metadata"]["collector_notes"]
    for query in ("?sentry_key=0123456789abcdee", "?sentry_key=", ""):
        assert send(query).status == 403
    assert collector.get(path).headers["Allow"] == "POST, OPTIONS"


def test_http_1_0(collector):
    body = FIELDS + END
    answer = send_raw(collector, f"POST /submit HTTP/1.0\r\nContent-type: {B}\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert b"\r\nContent-Length: 48" in answer.head and ACCEPTED.fullmatch(answer.body)
    assert b"Transfer-Encoding" not in answer.head


def test_missing_user_agent(collector):
    body = FIELDS + field("Notes", "no agent") + END
    answer = send_raw(collector, f"POST /submit HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-type: {B}\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    raw, _, _ = stored(collector, answer)
    assert raw["metadata"]["user_agent"] == "None"


def test_nul_never_passes(collector):
    raw, _, _ = stored(collector, post(collector, json_part(
        json.dumps({**ANNOTATIONS, "a\0b": "x\0y", "c": ["\0"]}).encode()) + END))
    assert raw["ab"] == "xy" and raw["c"] == [""]
    assert raw["metadata"]["collector_notes"] == ["removed NUL characters from 2 annotations"]


def test_a_thousand_annotations(collector):
    many = {f"key{i}": f"value {i}" for i in range(2000)}
    raw, _, _ = stored(collector, post(collector, FIELDS + b"".join(field(k, v) for k, v in many.items()) + END))
    assert {k: raw[k] for k in many} == many


def own_id(n):
    return f"00000000-0000-4000-8000-{n:05d}0" + time.strftime("%y%m%d", time.gmtime())


@pytest.mark.parametrize("headers,status,text", [
    ({}, 401, "Discarded=unauthorized_uuid"),
    ({"Authorization": "Bearer wrong"}, 401, "Discarded=unauthorized_uuid"),
    ({"Authorization": "Basic first-token"}, 401, "Discarded=unauthorized_uuid"),
    ({"Authorization": "Bearer "}, 401, "Discarded=unauthorized_uuid"),
    ({"Authorization": TOKEN}, 200, None),
    ({"Authorization": "bearer old-token"}, 200, None),
])
def test_own_id_needs_a_token(collector, headers, status, text):
    crash_id = own_id(1)
    answer = post(collector, FIELDS + field("uuid", crash_id) + END, **headers)
    assert (answer.status, answer.text) == (status, text or f"CrashID=bp-{crash_id}\n")


def test_own_ids_with_odd_dates_are_logged(collector):
    """Stored and kept by a date that cannot be right: somebody must be able to find out."""
    def odd():
        return [line["crash_id"] for line in collector.log_lines("datil-collector") if line["event"] == "crash_id_date"]
    ids = [own_id(n)[:-6] + date for n, date in ((71, "990101"), (72, "150101"), (73, own_id(73)[-6:]))]
    for crash_id in ids:
        assert post(collector, FIELDS + field("uuid", crash_id) + END, Authorization=TOKEN).status == 200
    wait_until(lambda: set(ids[:2]) <= set(odd()), what="the lines in the log")
    assert ids[2] not in odd()


def test_unauthorized_wins_over_a_rule(collector):
    answer = post(collector, field("ProductName", "Nobody") + field("uuid", own_id(2)) + END)
    assert (answer.status, answer.text) == (401, "Discarded=unauthorized_uuid")
    answer = post(collector, field("ProductName", "Nobody") + field("uuid", own_id(2)) + END, Authorization=TOKEN)
    assert (answer.status, answer.text) == (200, "Discarded=rule_unsupported_product")


@pytest.mark.parametrize("bad", [
    "x", own_id(3).upper().replace("0", "A", 1), own_id(3) + "\n", own_id(3)[:-6] + "261332",
    own_id(3)[:29] + "3" + own_id(3)[30:], "bp-" + own_id(3)])
def test_bad_own_ids(collector, bad):
    answer = post(collector, json_part({**ANNOTATIONS, "uuid": bad}) + END, Authorization=TOKEN)
    assert (answer.status, answer.text) == (400, "Discarded=malformed_invalid_uuid")


def test_own_id_that_is_no_text(collector):
    answer = post(collector, json_part({**ANNOTATIONS, "uuid": 5}) + END, Authorization=TOKEN)
    assert (answer.status, answer.text) == (400, "Discarded=malformed_invalid_uuid")


def test_the_last_of_two_with_one_id_stays(collector):
    for note in ("first", "second"):
        answer = post(collector, FIELDS + field("Notes", note) + field("uuid", own_id(4)) + END, Authorization=TOKEN)
        assert answer.status == 200
    wait_until(lambda: stored(collector, answer)[0]["Notes"] == "second", what="the second report")


def test_a_report_sent_again_gets_its_first_answer(collector):
    body = FIELDS + field("CrashTime", "1700000001") + file_part("upload_file_minidump", b"MDMP1") + END
    first, second = post(collector, body), post(collector, gzip.compress(body), Content_Encoding="gzip")
    assert ACCEPTED.fullmatch(first.body) and first.body == second.body
    other = post(collector, body.replace(b"1700000001", b"1700000002"))
    assert ACCEPTED.fullmatch(other.body) and other.body != first.body


def timed(crash_time, dump, **fields):
    return (FIELDS + field("CrashTime", crash_time) + b"".join(field(k, v) for k, v in fields.items())
            + file_part("upload_file_minidump", dump) + END)


def test_a_retry_from_another_place_is_the_same_report(collector):
    first = post(collector, timed("1700000011", b"MDMP11", SubmittedFrom="Client"))
    again = post(collector, timed("1700000011", b"MDMP11", SubmittedFrom="AboutCrashes", Throttleable="0"))
    assert ACCEPTED.fullmatch(first.body) and again.body == first.body


def test_empty_dumps_of_one_second_are_different_reports(collector):
    assert post(collector, timed("1700000012", b"")).body != post(collector, timed("1700000012", b"")).body


def test_racing_posts_of_one_report_make_one_crash(collector):
    for n in range(10):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            body = timed(f"17000001{n:02}", b"MDMP race %d" % n)
            answers = list(pool.map(lambda _: post(collector, body), range(8)))
        assert ACCEPTED.fullmatch(answers[0].body)
        assert {a.body for a in answers} == {answers[0].body}
        stored(collector, answers[0])
    assert sum("17000001" in path.read_text() for path in (collector.var / "store").glob("*/raw_crash/*.json")) == 10


def test_answers_outlive_the_program(collector):
    kept = post(collector, timed("1700000013", b"MDMP13"))
    thrown = post(collector, timed("1700000014", b"MDMP14", ProductName="Somebody"))
    parents, workers = collector.program_pids("datil-collector")
    for pid in (*parents, *workers):
        collector.kill(pid)
    wait_until(lambda: collector.program_pids("datil-collector")[0] - parents
               and post(collector, timed("1700000013", b"MDMP13")).status == 200, what="a new collector")
    assert post(collector, timed("1700000013", b"MDMP13")).body == kept.body
    # The answer of then, though the rules say something else now.
    assert thrown.text == "Discarded=rule_unsupported_product"
    collector.datil("product", "add", "Somebody")
    try:
        assert post(collector, timed("1700000014", b"MDMP14", ProductName="Somebody")).body == thrown.body
        wait_until(lambda: ACCEPTED.fullmatch(post(collector, timed(str(time.time_ns()), b"MDMP15", ProductName="Somebody")).body),
                   what="the new product")
    finally:
        collector.datil("product", "remove", "Somebody")


def test_reports_without_dump_or_time_are_never_the_same(collector):
    for body in (FIELDS + field("CrashTime", "1700000001") + END,
                 FIELDS + file_part("upload_file_minidump", b"MDMP1") + END):
        assert post(collector, body).body != post(collector, body).body


@pytest.mark.parametrize("fields,want", [
    ({"ProductName": "Nobody"}, b"Discarded=rule_unsupported_product"),
    ({"ProductName": "Fenix"}, b"Discarded=rule_unsupported_packagename"),
    ({"BuildID": "20010101000000"}, b"Discarded=rule_has_old_buildid"),
])
def test_rejections(collector, fields, want):
    answer = collector.submit(fields)
    assert (answer.status, answer.body) == (200, want)
    assert answer.headers["Content-Length"] == str(len(want))


def test_fake_accept(collector):
    answer = collector.submit({"ProductName": "B2G"})
    crash_id = ACCEPTED.fullmatch(answer.body)[1].decode()
    assert crash_id[29] == "3"
    assert not list(collector.var.glob(f"spool/*/{crash_id}")) and not list(collector.var.glob(f"store/*/*/{crash_id}*"))


def test_dry_run(collector):
    lines = [
        {"annotations": {"ProductName": "Firefox", "ReleaseChannel": "release"}, "random": 0.1},
        {"annotations": {"ProductName": "Firefox", "ReleaseChannel": "release"}, "random": 0.11},
        {"annotations": {"ProductName": "X"}, "profile": "all_products"},
        {"annotations": {"ProductName": "Fenix"}, "profile": "all_packages"},
        {"annotations": {}, "profile": "accept_all"},
        {"annotations": {"BuildID": "20230101000000"}, "now": "2025-01-01T00:00:00+00:00"},
    ]
    done = subprocess.run([str(BIN / "datil-collector"), "--throttle", "--rules", "default"], env=collector.env, text=True,
                          input="".join(json.dumps(x) + "\n" for x in lines), stdout=subprocess.PIPE, check=True)
    got = [json.loads(x) for x in done.stdout.splitlines()]
    assert [(g["result"], g["rule"], g["percentage"]) for g in got] == [
        ("ACCEPT", "is_firefox_desktop", 10), ("REJECT", "is_firefox_desktop", 10),
        ("ACCEPT", "accept_everything", 100), ("ACCEPT", "accept_everything", 100),
        ("ACCEPT", "accept_everything", 100), ("REJECT", "has_old_buildid", 100)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_methods_of_submit(collector, method):
    answer = collector.request(method, "/submit")
    assert answer.status == 405 and answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", ["/submit/", "/submit/x"])
def test_paths_below_submit_are_unknown(collector, path):
    answers = [post(collector, FIELDS + END, query=path.removeprefix("/submit"))]
    if path == "/submit/":  # no token at all: nginx does not ask the collector
        answers += [collector.get(path), collector.request("OPTIONS", path)]
    for answer in answers:
        assert (answer.status, answer.json) == (404, {"title": "404 Not Found"})
        assert answer.headers["Content-Type"].startswith("application/json")


def test_two_slashes_are_one(collector):
    assert ACCEPTED.fullmatch(collector.request("POST", "//submit", FIELDS + END, {"Content-Type": B}).body)


def test_errors_are_small_objects(collector):
    answer = collector.get("/submit")
    assert (answer.status, answer.json) == (405, {"title": "405 Method Not Allowed"})
    assert answer.headers["Content-Type"].startswith("application/json")


def test_options(collector):
    answer = collector.request("OPTIONS", "/submit")
    assert (answer.status, answer.body, answer.headers["Allow"]) == (200, b"", "POST, OPTIONS")


def test_health(collector):
    answer = collector.get("/collector/__heartbeat__")
    assert (answer.status, answer.json) == (200, {"errors": []})
    answer = collector.get("/collector/__lbheartbeat__")
    assert (answer.status, answer.body) == (200, b"")
    assert collector.get("/collector/__version__").status == 200
    answer = collector.request("POST", "/collector/__heartbeat__")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, OPTIONS"
    answer = collector.get("/collector/nowhere")
    assert (answer.status, answer.json) == (404, {"title": "404 Not Found"})
    metrics = dict(line.rsplit(" ", 1) for line in collector.local("/collector/__metrics__")[1].splitlines() if line[0] != "#")
    assert int(metrics["socorro_collector_breakpad_resource_incoming_crash"]) > 0
    assert int(metrics["socorro_collector_spool_oldest_age_s"]) < 60


def test_full_disk_is_503_and_no_decision(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("DATIL_")}
    if os.geteuid() == 0:  # a program started as root works as the owner of its data
        shutil.chown(tmp_path, "nobody")
    env.update(DATIL_VAR=str(tmp_path), SPOOL_MIN_FREE_BYTES=str(1 << 60), CRASHMOVER_CRASHPUBLISH_CLASS="noop")
    with subprocess.Popen([str(BIN / "datil-collector")], env=env, stderr=subprocess.DEVNULL) as program:
        try:
            sock = tmp_path / "run/web/datil-collector.sock"
            wait_until(sock.exists, what="the collector")
            status, headers, body = fastcgi.request(sock, "POST", "/submit", FIELDS + END, {"Content-Type": B})
            assert (status, body, headers["Content-Length"]) == (503, b"", "0")
            assert 60 <= int(headers["Retry-After"]) <= 300
            status, _, body = fastcgi.request(sock, "GET", "/__heartbeat__")
            assert status == 503 and [e["name"] for e in json.loads(body)["errors"]] == ["spool"]
        finally:
            program.terminate()
    assert program.returncode == 0


def test_log_tells_no_secrets(collector):
    collector.submit({"Comments": "private words", "Email": "someone@example.org", "URL": "http://secret.example/"},
                     headers={"Authorization": "Bearer hidden-token"})
    log = (collector.var / "log/collector.log").read_text()
    for word in ("private words", "someone@example", "secret.example", "hidden-token"):
        assert word not in log
