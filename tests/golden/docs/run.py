#!/usr/bin/env python3
"""What documents say that can be looked up.

docs/changing.md: every file that a recipe names is there, and what stands in backticks beside it is in one of those files. A path with a word in capitals, as in cron/jobs/NAME.c, is a file to be made: its folder must be there.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PATH = re.compile(r"[\w.$-]+(/[\w.-]+)+/?|Makefile")
# A name of the source: no commands, no shapes of files, nothing that stands for something else.
NAME = re.compile(r"[A-Za-z_]{3,}\w*")
TO_BE_MADE = re.compile(r"NAME|NNNN|…|\$")


def problems(item):
    quoted = re.findall(r"`([^`]+)`", item)
    paths = [q for q in quoted if PATH.fullmatch(q)]
    for path in paths:
        to_be_made = TO_BE_MADE.search(path)
        there = ROOT / (path[:to_be_made.start()].rsplit("/", 1)[0] if to_be_made else path)
        if not there.exists():
            yield f"{path} is not there"
    files = [ROOT / p for p in paths if (ROOT / p).is_file()]
    if not files:
        return
    text = "\n".join(f.read_text(errors="replace") for f in files)
    for name in quoted:
        if name not in paths and NAME.fullmatch(name) and not TO_BE_MADE.search(name) and not re.search(rf"\b{name}\b", text):
            yield f"no {name} in {', '.join(str(f.relative_to(ROOT)) for f in files)}"


def metrics_counted():
    """Every metric of the table is counted somewhere, by a program that the table names."""
    table = (ROOT / "lib/base/metric_rows.def").read_text()
    folders = {"IN_COLLECTOR": "fcgi/collector", "IN_SYMBOLS": "fcgi/symbols", "IN_WEBAPP": "fcgi/webapp",
               "IN_PROCESSOR": "processor", "IN_CRON": "cron", "IN_PINGS": "fcgi/pings"}
    sources = {f.relative_to(ROOT): f.read_text() for top in ("lib", "fcgi", "processor", "cron")
               for f in (ROOT / top).rglob("*.c") if "metrics_text" not in f.name}
    for name, programs in re.findall(r'^METRIC\((\w+), "[^"]+", \w+, \w+, "[^"]*", ([\w |]+),', table, re.M):
        where = ["lib"] + [folders[p] for p in programs.split(" | ") if p in folders]
        if not any(re.search(rf"\bMETRIC_{name}\b", text) for path, text in sources.items()
                   if str(path).startswith(tuple(where))):
            yield f"{name} is counted nowhere in {' '.join(where)}"


# What dashboards made for Tecken and Eliot ask for, behind symbols. and symbolication.
TECKEN = """api clearuploads.record_count clearuploads.records_deleted download_symbol download_symbol_code_id_lookup
    remove_orphaned_files.delete_file symboldownloader.file_age_days syminfo.lookup.cached syminfo.lookup.timing upload_archive
    upload_download_by_url upload_dump_and_extract upload_file_exists upload_file_upload upload_file_upload_error
    upload_file_upload_skip upload_file_upload_upload upload_gzip_payload upload_put_object upload_skip_early_compressed
    upload_skip_early_uncompressed upload_uploads upload_v2""".split()
ELIOT = """diskcache.evict diskcache.get diskcache.set diskcache.usage symbolicate.api symbolicate.frames_count symbolicate.jobs_count
    symbolicate.parse_sym_file.error symbolicate.parse_sym_file.parse symbolicate.request_error symbolicate.stacks_count""".split()


def names_kept():
    """Each of these names is in the table, and so, by metrics_counted, counted."""
    table = set(re.findall(r'^METRIC\(\w+, "([^"]+)"', (ROOT / "lib/base/metric_rows.def").read_text(), re.M))
    yield from (f"{name} is no metric" for name in [*("symbols." + n for n in TECKEN), *("symbolication." + n for n in ELIOT)]
                if name not in table)


def prometheus_names():
    """The series that programs print, by docs/metrics.md: what alerts and dashboards may ask for."""
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+), ", (ROOT / "docs/metrics.md").read_text(), re.M)
    for name, kind in rows:
        name = name.replace(".", "_")
        yield from [name] if kind in ("count", "gauge") else [f"{name}_{end}" for end in ("bucket", "sum", "count")]


def metrics_named(path):
    """Every metric that a file of docs/monitoring asks for is printed by a program."""
    known = set(prometheus_names())
    asked = set(re.findall(r"\b(?:socorro|symbols|symbolication|datil)_\w+", (ROOT / path).read_text()))
    if not asked:
        yield "no metric at all"
    yield from (f"no program prints {name}" for name in sorted(asked - known))


def main():
    page = (ROOT / "docs/changing.md").read_text()
    failed = 0
    for recipe in re.findall(r"^## .*?(?=^## |\Z)", page, re.M | re.S):
        title, *items = re.split(r"\n(?=\d+\. )", recipe)
        label = title.splitlines()[0][3:]
        found = [p for item in items for p in problems(item)]
        if not items:
            found = ["no list of files"]
        print(f"FAIL {label}: {'; '.join(found)}" if found else f"ok {label}")
        failed += bool(found)
    for label, found in [("metrics are counted", list(metrics_counted())), ("names of Tecken and Eliot", list(names_kept())),
                         *((path, list(metrics_named(path))) for path in ("docs/monitoring/alerts.yml", "docs/monitoring/dashboard.json"))]:
        print(f"FAIL {label}: {'; '.join(found)}" if found else f"ok {label}")
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
