#!/usr/bin/env python3
"""The processor's entry points without services: --offline, --apply-rule, --public."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
DUMPS = [ROOT / "tests/data", ROOT.parent / "shared/testdata", ROOT.parent.parent / "shared/testdata"]
RAW = {"uuid": "11111111-2222-4333-8444-555550260728", "ProductName": "Firefox", "Version": "63.0",
       "ReleaseChannel": "beta", "BuildID": "20180904170936", "URL": "https://example.org/secret",
       "submitted_timestamp": "2026-07-28T10:00:00.000000+00:00", "metadata": {}}
VERSIONS = "Firefox,beta,63,63.0,63.0b4,20180904170936,https://archive.example/\n"


def processor(*args, stdin=None, tmp):
    env = {"PATH": os.environ["PATH"], "DATIL_VAR": str(tmp / "var"), "LOGGING_LEVEL": "error"}
    env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    done = subprocess.run([BUILD / "bin/datil-processor", *map(str, args)], input=stdin, text=True,
                          capture_output=True, env=env, timeout=60)
    return done.returncode, done.stdout, done.stderr


def folder(tmp, **files):
    path = tmp / "crash"
    path.mkdir(exist_ok=True)
    (path / "raw_crash.json").write_text(json.dumps(RAW))
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def offline_without_dump(tmp):
    status, out, said = processor("--offline", folder(tmp), tmp=tmp)
    doc = json.loads(out)
    assert status == 0 and not said, said
    assert doc["uuid"] == RAW["uuid"] and doc["product"] == "Firefox" and doc["success"] is True
    assert doc["version"] == "63.0b0" and "no version data was found" in doc["processor_notes"]
    assert doc["processor_notes"].startswith(">>> Start processing: ")
    assert doc["signature"].startswith("EMPTY: "), doc["signature"]
    assert not any((tmp / "var/tmp").iterdir()), "the temporary directory stays"


def offline_with_versions(tmp):
    (tmp / "versions.csv").write_text(VERSIONS)
    status, out, _ = processor("--offline", folder(tmp), "--product-versions", tmp / "versions.csv", tmp=tmp)
    assert status == 0 and json.loads(out)["version"] == "63.0b4"


def offline_with_dump(tmp):
    dump = [path for place in DUMPS for path in place.glob("minidumps/linux*.dmp")]
    if not dump:
        return "skipped: no sample dumps"
    path = folder(tmp, **{"upload_file_minidump.dmp": dump[0].read_bytes()})
    status, out, _ = processor("--offline", path, "--jsonl", tmp=tmp)
    doc = json.loads(out)
    assert status == 0 and out.count("\n") == 1
    assert doc["json_dump"]["threads"] and doc["mdsw_return_code"] == 0


def offline_with_broken_dump(tmp):
    path = folder(tmp, upload_file_minidump=b"MDMP" + bytes(60))
    status, out, _ = processor("--offline", path, tmp=tmp)
    doc = json.loads(out)
    assert status == 0 and doc["success"] is True and doc["mdsw_status_string"] != "OK"


def offline_signature_of_unprocessed(tmp):
    status, out, _ = processor("--offline", folder(tmp), "--ruleset", "regenerate_signature", tmp=tmp)
    assert status == 0 and json.loads(out)["product"] == "Firefox"  # as by the default rules


def offline_unknown_ruleset(tmp):
    status, out, said = processor("--offline", folder(tmp), "--ruleset", "nothing", tmp=tmp)
    assert status == 1 and out == "" and "no rule set" in said


def one_rule(tmp):
    doc = {"raw_crash": {"Version": "128.0.1"}, "processed_crash": {}, "dump_names": []}
    for name in ("MajorVersion", "MajorVersionRule"):
        status, out, _ = processor("--apply-rule", name, stdin=json.dumps(doc), tmp=tmp)
        answer = json.loads(out)
        assert status == 0 and answer["processed_crash"]["major_version"] == 128
        assert sorted(answer) == ["notes", "processed_crash", "raw_crash"]


def rule_by_lines(tmp):
    lines = "".join(json.dumps({"raw_crash": {"Version": f"{n}.0"}}) + "\n" for n in (1, 2, 3))
    status, out, _ = processor("--apply-rule", "MajorVersion", "--jsonl", stdin=lines, tmp=tmp)
    assert [json.loads(x)["processed_crash"]["major_version"] for x in out.splitlines()] == [1, 2, 3]


def unknown_rule(tmp):
    status, _, said = processor("--apply-rule", "Nothing", stdin="{}", tmp=tmp)
    assert status == 1 and "no rule 'Nothing'" in said


def public_form(tmp):
    doc = {"uuid": RAW["uuid"], "product": "Firefox", "url": "https://example.org/secret", "unknown": 1}
    status, out, _ = processor("--public", stdin=json.dumps(doc), tmp=tmp)
    assert status == 0 and json.loads(out) == {"uuid": RAW["uuid"], "product": "Firefox"}


def telemetry_record(tmp):
    doc = {"uuid": RAW["uuid"], "os_name": "Linux", "url": "https://example.org/secret", "safe_mode": True}
    want = {"uuid": RAW["uuid"], "platform": "Linux", "safe_mode": "1"}
    status, out, _ = processor("--telemetry", stdin=json.dumps(doc), tmp=tmp)
    assert status == 0 and json.loads(out) == want, out
    status, out, _ = processor("--telemetry", "--jsonl", stdin=2 * (json.dumps(doc) + "\n"), tmp=tmp)
    assert [json.loads(line) for line in out.splitlines()] == [want, want], out


def version_keys(tmp):
    status, out, _ = processor("--version-key", stdin="63.0b4\n60.2.0esr\r\nfoo\n\n1.2.3-x\n62.0rc1", tmp=tmp)
    assert status == 0 and out.splitlines() == ["63.0.0-beta.4.rc.999", "60.2.0-xsr.rc.999", "null", "null",
                                                "1.2.3-x", "62.0.0-release.rc.1"], out


def nul_in_names(tmp):
    doc = '{"raw_crash": {"a\\u0000b": "x\\u0000y"}, "processed_crash": {"p\\u0000": 1}}'
    status, out, said = processor("--apply-rule", "DeNullRule", stdin=doc, tmp=tmp)
    assert status == 0, said
    assert json.loads(out) == {"raw_crash": {"ab": "xy"}, "processed_crash": {"p": 1}, "notes": []}, out


def broken_input(tmp):
    status, out, said = processor("--public", stdin="{", tmp=tmp)
    assert status == 1 and out == "" and "JSON" in said


def usage(tmp):
    assert processor("--help", tmp=tmp)[0] == 0
    assert processor("--version", tmp=tmp)[1].startswith("datil-processor ")
    assert processor("--nonsense", tmp=tmp)[0] == 2
    assert processor("--offline", tmp=tmp)[0] == 2


CASES = [offline_without_dump, offline_with_versions, offline_with_dump, offline_with_broken_dump,
         offline_signature_of_unprocessed, offline_unknown_ruleset, one_rule, rule_by_lines, unknown_rule,
         public_form, telemetry_record, version_keys, nul_in_names, broken_input, usage]


def main():
    failed = 0
    for case in CASES:
        label = case.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as tmp:
            try:
                note = case(Path(tmp))
                print(f"ok {label}{' (' + note + ')' if note else ''}")
            except Exception as why:  # every kind of failure is one line of the report
                failed += 1
                print(f"FAIL {label}: {type(why).__name__} {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
