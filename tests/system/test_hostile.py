"""Hostile reports get a clear answer or a note; no process dies and nobody else notices."""
import io
import re
import subprocess
import time
import zipfile

import pytest
from harness import ANNOTATIONS, BIN, multipart, wait_until


@pytest.fixture(autouse=True)
def nobody_dies(datil):
    def deaths(program):
        return [line for line in datil.log_lines(program) if line["event"] == "worker_exit"]
    before = {p: datil.program_pids(p) for p in ("datil-collector", "datil-processor", "datil-webapp")}
    died = {p: len(deaths(p)) for p in before}  # other tests kill
    yield
    after = {p: datil.program_pids(p) for p in before}
    assert {p: v[0] for p, v in before.items()} == {p: v[0] for p, v in after.items()}
    for program, count in died.items():
        assert not deaths(program)[count:]


def zip_of_zeros():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("zeros", bytes(50 << 20))
    return out.getvalue()


DUMPS = {
    "empty": (lambda d: b"", "EmptyMinidump"),
    "shorter than the header": (lambda d: d[:31], "MissingHeader"),
    "truncated in the directory": (lambda d: d[:40], "MissingDirectory"),
    "half": (lambda d: d[:len(d) // 2], None),
    "zip of zeros": (lambda d: zip_of_zeros(), "HeaderMismatch"),
    "big-endian magic": (lambda d: b"PMDM" + d[4:], None),
    "counts of all ones": (lambda d: d[:8] + b"\xff" * 4 + d[12:], "MissingDirectory"),
}


@pytest.mark.parametrize("name", DUMPS)
def test_bad_dump_is_a_status_not_a_loss(datil, minidump, name):
    make, status = DUMPS[name]
    crash_id = datil.post(dump=make(minidump))
    doc = datil.wait_processed(crash_id)
    assert doc["product"] == "Crashme" and doc["signature"]
    if status:
        assert doc["mdsw_status_string"] == status, doc["processor_notes"]
    assert datil.search(uuid=crash_id)["total"] == 1


def test_nul_and_broken_utf8_in_annotations(datil):
    crash_id = datil.post({"Notes": b"a\0b", "Vendor": b"\xff\xfe broken \xc3"})
    doc = datil.wait_processed(crash_id)
    assert doc["app_notes"] == "ab"
    raw = datil.get("/api/RawCrash/", {"crash_id": crash_id}).json
    assert "\0" not in str(raw)


def test_multipart_cut_anywhere(datil, minidump):
    kind, body = multipart(ANNOTATIONS, {"upload_file_minidump": minidump[:3000]})
    step = max(1, len(body) // 60)
    for cut in [*range(0, len(body) - 4, step), len(body) - 3, len(body) - 4]:
        answer = datil.request("POST", "/submit", body[:cut], {"Content-Type": kind})
        assert answer.status == 400 and re.fullmatch(rb"Discarded=malformed_\w+", answer.body), (cut, answer)
    assert datil.request("POST", "/submit", body, {"Content-Type": kind}).status == 200


def test_client_goes_away_in_the_middle(datil, minidump):
    kind, body = multipart(ANNOTATIONS, {"upload_file_minidump": minidump})
    head = (f"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    before = spool_entries(datil)
    for cut in (0, 10, len(body) // 2, len(body) - 1):
        datil.raw(head + body[:cut])
    assert datil.post()  # the next one is served
    wait_until(lambda: spool_entries(datil) <= before, what="an empty spool")


def spool_entries(datil):
    return sum(1 for kind in ("new", "unpublished") for _ in (datil.var / "spool" / kind).glob("*"))


def test_unknown_product_is_refused_and_can_be_allowed(datil):
    answer = datil.submit({"ProductName": "Brandnew"})
    assert (answer.status, answer.body) == (200, b"Discarded=rule_unsupported_product")
    datil.datil("product", "add", "Brandnew", "--description", "A product added while everything runs")
    assert datil.submit({"ProductName": "Brandnew"}).body.startswith(b"CrashID=")  # at once


def test_replies_are_exact(datil):
    answer = datil.submit()
    assert re.fullmatch(rb"CrashID=bp-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{5}0"
                        + time.strftime("%y%m%d", time.gmtime()).encode() + rb"\n", answer.body)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Length"] == "48"


SUBMIT_ERRORS = {
    "no_content_type": (None, b"x"),
    "wrong_content_type": ("text/plain", b"x"),
    "no_boundary": ("multipart/form-data", b"x"),
    "no_content_length": ("multipart/form-data; boundary=b", b""),
    "invalid_payload_structure": ("multipart/form-data; boundary=b", b"nothing here"),
    "no_annotations": ("multipart/form-data; boundary=b", b"--b--\r\n"),
}


@pytest.mark.parametrize("reason", SUBMIT_ERRORS)
def test_malformed_reasons(datil, reason):
    kind, body = SUBMIT_ERRORS[reason]
    answer = datil.request("POST", "/submit", body, {"Content-Type": kind} if kind else {})
    assert (answer.status, answer.text) == (400, f"Discarded=malformed_{reason}")


def test_exactly_the_wire_limit(datil):
    kind, body = multipart(ANNOTATIONS, {"upload_file_minidump": b""})
    room = 26214400 - len(body)
    kind, body = multipart(ANNOTATIONS, {"upload_file_minidump": bytes(room)})
    assert len(body) == 26214400
    assert datil.request("POST", "/submit", body, {"Content-Type": kind}).status == 200
    kind, body = multipart(ANNOTATIONS, {"upload_file_minidump": bytes(room + 1)})
    assert datil.request("POST", "/submit", body, {"Content-Type": kind}).status == 413


def test_symbol_text_is_compiled_by_the_sandboxed_reader_alone():
    """No other program has the compiler in it, whatever path leads to symbols that are not compiled yet."""
    compiles = set()
    for program in BIN.iterdir():
        listed = subprocess.run(["nm", program], capture_output=True, text=True, timeout=60)
        if {"sym_parse", "csym_compile_mem"} & {line.split()[-1] for line in listed.stdout.splitlines() if line}:
            compiles.add(program.name)
    assert compiles == {"datil-symreader"}
