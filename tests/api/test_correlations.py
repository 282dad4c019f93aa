"""Correlations: against a naive implementation on random sets, and on sets with planted causes; over files, API and page."""
import gzip
import hashlib
import itertools
import json
import math
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness import Installation

SECRET = "zq-canary-4711"
MIN_COUNT, MIN_DIFF, MIN_PHI, ALPHA = 5, 0.15, 0.03, 0.05
NEAR = min(0.05, MIN_DIFF / 2)


class Crashes:
    """Documents as `datil crash load` takes them, with ids of today."""

    def __init__(self, seed):
        self.random, self.lines, self.number = random.Random(seed), [], 0

    def add(self, signature, product, channel="release", version="7.0", **keys):
        when = datetime.now(timezone.utc) - timedelta(minutes=self.random.randrange(60, 2000))
        self.number += 1
        uuid = f"{self.random.getrandbits(32):08x}-{self.number:04x}-4000-8000-{self.random.getrandbits(24):06x}{when:%y%m%d}"
        crash = {"uuid": uuid, "crash_id": uuid, "signature": signature, "product": product, "release_channel": channel,
                 "version": version, "date_processed": when.isoformat(), **keys}
        self.lines.append(json.dumps(crash))
        return crash

    def load(self, datil):
        datil.datil("crash", "load", stdin="\n".join(self.lines))


# A second implementation, by the words of docs/correlations.md; counts by going through all crashes.

def chi2(a, b, c, d):
    n = a + b + c + d
    rows, columns = (a + b, c + d), (a + c, b + d)
    if 0 in rows or 0 in columns:
        return 0.0
    total = 0.0
    for seen, row, column in ((a, 0, 0), (b, 0, 1), (c, 1, 0), (d, 1, 1)):
        expected = rows[row] * columns[column] / n
        total += (abs(seen - expected) - min(0.5, abs(seen - expected))) ** 2 / expected
    return total


def chi2_p(x):
    return math.erfc(math.sqrt(x / 2))


def fisher_p(a, b, c, d):
    def log(k):
        return (math.lgamma(a + b + 1) + math.lgamma(c + d + 1) + math.lgamma(a + c + 1) + math.lgamma(b + d + 1)
                - math.lgamma(a + b + c + d + 1) - math.lgamma(k + 1) - math.lgamma(a + b - k + 1)
                - math.lgamma(a + c - k + 1) - math.lgamma(d - a + k + 1))
    low, high = max(0, a - d), min(a + b, a + c)
    own = log(a)
    return min(1.0, sum(math.exp(log(k)) for k in range(low, high + 1) if log(k) <= own + 1e-7))


LEADS = {"platform": ["cpu_arch", "adapter_vendor_id", "os_arch"], "adapter_vendor_id": ["adapter_device_id"], "adapter_device_id": [],
         "startup_crash": ["safe_mode", "os_arch", "adapter_vendor_id", "adapter_device_id", "useragent_locale"]}


def explains(prior, of):
    seen, left = set(), [prior]
    while left:
        for name in LEADS.get(left.pop(), []):
            if name not in seen:
                seen.add(name)
                left.append(name)
    return of in seen


# What takes part at all, for they count among the candidates; no crash here has most of it.
ROWS = [line.split("\t") for line in (Path(__file__).resolve().parents[2] / "lib/crash/fields.tsv").read_text().splitlines()]
MARKED = [row[1] for row in ROWS if row[0] == "search" and "correlates" in row[5]]


def attributes(crash):
    out = {("CPU Info", None), ("Is Multicore", None), ("adapter_driver_version_clean", None), ("address", None),
           ("has dual GPUs", False), ("plugin", False), ("os_arch", "amd64" if crash["platform"] == "Mac OS X" else None)}
    for name in MARKED:
        value = crash.get(name)
        out.add((name.replace("dom_ipc", "e10s"), ("1" if value else "0") if isinstance(value, bool) else value))
    return out


def naive(group, reference):
    """{items: (count in group, count in reference, prior)}"""
    sets = [[attributes(c) for c in part] for part in (group, reference)]
    n = [len(s) for s in sets]

    def count(items):
        return [sum(items <= c for c in s) for s in sets]

    def is_frequent(c):
        return min(c) >= MIN_COUNT and (c[0] / n[0] >= MIN_DIFF or c[1] / n[1] >= MIN_DIFF)

    singles = {frozenset([i]): count({i}) for i in sorted({i for s in sets for c in s for i in c}, key=str)}
    singles = {i: c for i, c in singles.items() if is_frequent(c)}
    names_with_1 = {name for i in singles for name, value in i if value == "1"}
    singles = {i: c for i, c in singles.items() if not any(v is None and name in names_with_1 for name, v in i)}
    pairs = {}
    for a, b in itertools.combinations(singles, 2):
        items = a | b
        if len({name for name, _ in items}) < 2:
            continue
        c = count(items)
        if not is_frequent(c):
            continue
        changed = [any(abs(c[s] / singles[p][s] - singles[p][s] / n[s]) > NEAR for s in (0, 1)) for p in (a, b)]
        if not all(changed):
            if any(all(abs(c[s] / n[s] - singles[p][s] / n[s]) <= NEAR for s in (0, 1)) for p in (a, b)):
                continue
            if all(chi2_p(chi2(singles[p][0], c[0], singles[p][1], c[1])) > 0.5 for p in (a, b)):
                continue
        pairs[items] = (c, a, b)
    alpha, results = ALPHA, {}

    def is_different(c):
        x = chi2(c[0], c[1], n[0] - c[0], n[1] - c[1])
        return chi2_p(x) <= alpha and math.sqrt(x / sum(n)) >= MIN_PHI

    for items, c in singles.items():
        if abs(c[0] / n[0] - c[1] / n[1]) >= MIN_DIFF and is_different(c):
            results[items] = [c[0], c[1], None]
        alpha = min(alpha, ALPHA / 2 / len(singles))
    for items, (c, a, b) in pairs.items():
        used_up = False
        for p, q in ((a, b), (b, a)):
            if used_up or q not in results or not explains(next(iter(p))[0], next(iter(q))[0]):
                continue
            given = [c[s] / singles[p][s] for s in (0, 1)]
            if abs(given[0] - given[1]) < MIN_DIFF:
                del results[q]
                used_up = True
            elif not all(abs(given[s] - singles[q][s] / n[s]) <= NEAR for s in (0, 1)):
                before = results[q][2]
                if before is None or abs(before[1] / before[3] - before[2] / before[4]) > abs(given[0] - given[1]):
                    results[q][2] = (p, c[0], c[1], singles[p][0], singles[p][1])
                used_up = True
        if not used_up and abs(c[0] / n[0] - c[1] / n[1]) >= MIN_DIFF:
            of_pair, expected = c[0] / n[0], singles[a][0] / n[0] * singles[b][0] / n[0]
            if abs(expected - of_pair) > max(0.01, 0.15 * of_pair) and is_different(c) and fisher_p(
                    c[0], n[0] - singles[a][0], n[0] - singles[b][0], n[0] - c[0]) <= alpha:
                results[items] = [c[0], c[1], None]
        alpha = min(alpha, ALPHA / 4 / len(pairs))
    return results


def as_naive(document):
    out = {}
    for r in document["results"]:
        prior = r["prior"] and (frozenset(r["prior"]["item"].items()), r["prior"]["count_group"], r["prior"]["count_reference"],
                                r["prior"]["total_group"], r["prior"]["total_reference"])
        out[frozenset(r["item"].items())] = [r["count_group"], r["count_reference"], prior]
    return out


KEYS = {"platform": "os_name"}


def random_crash(rnd, crashes, product, signature, bias):
    """Attributes that depend on one another and, for some signatures, on the signature."""
    platform = rnd.choices(["Windows NT", "Linux", "Mac OS X"], [5, 3 + bias[0], 1])[0]
    vendor = rnd.choices(["0x10de", "0x8086", "0x1002"], [2 + bias[1], 6 if platform == "Linux" else 2, 2])[0]
    values = {
        "platform": platform,
        "cpu_arch": rnd.choices(["amd64", "x86"], [8 if platform == "Linux" else 3, 2 + bias[2]])[0],
        "adapter_vendor_id": vendor,
        "adapter_device_id": rnd.choice(["0xa1", "0xa2"] if vendor == "0x10de" else ["0xb1", "0xb2", "0xb3"]),
        "startup_crash": rnd.random() < 0.1 + bias[3] / 10,
        "safe_mode": rnd.choice([True, False, None]),
        "useragent_locale": rnd.choices(["en-US", "de", "fr"], [4, 1 + bias[4], 1])[0],
    }
    values = {k: v for k, v in values.items() if v is not None}
    crashes.add(signature, product, **{KEYS.get(k, k): v for k, v in values.items()})
    return {**values, "signature": signature, "version": "7.0"}


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        crashes = Crashes(5)
        rnd = random.Random(11)
        d.sets = {}
        for product in ("Rnd1", "Rnd2", "Rnd3"):
            bias = {f"{product}::s{i}": [rnd.choice([0, 0, 5, 12]) for _ in range(5)] for i in range(4)}
            d.sets[product] = [random_crash(rnd, crashes, product, s, bias[s]) for s in bias for _ in range(rnd.choice([40, 90, 180]))]
        plant(crashes)
        for name in [*d.sets, "Planted"]:
            d.datil("product", "add", name)
        crashes.load(d)
        d.sql("INSERT INTO graphics_device (vendor_hex, adapter_hex, vendor_name, adapter_name) VALUES "
              "('0x1414', '0x008c', 'Microsoft', 'Basic Render Driver') ON CONFLICT DO NOTHING")
        d.datil("cron", "run", "correlations")
        yield d


SIGNATURES = {"pair": 400, "module": 300, "addon": 300, "none": 300, "note": 300, "card": 300}
TOTAL = sum(SIGNATURES.values())


def plant(crashes):
    """Product Planted: each signature with a cause of its own beside the same noise, protected canaries in every crash."""
    rnd = random.Random(3)
    for signature, i in [(s, i) for s, n in SIGNATURES.items() for i in range(n)]:
        loaded = ["kernel.dll", "ui.dll"] + (["evil.dll"] if rnd.random() < (0.9 if signature == "module" else 0.05) else [])
        # Each of the two alone is as frequent everywhere; what is special is that they come together.
        a, b = i % 10 < 7, (i if signature == "pair" else i // 10) % 10 < 7
        vendor, device = ("0x1414", "0x008c") if signature == "card" and rnd.random() < 0.95 else ("0x8086", "0x0001")
        crashes.add(
            signature, "Planted", channel="release", os_name="Linux" if a else "Windows NT", safe_mode=b,
            addons=["good@x:1"] + (["bad@x:2.0"] if rnd.random() < (0.8 if signature == "addon" else 0.1) else []),
            app_notes="FP(D00) " + ("WebGL+ " if rnd.random() < (0.7 if signature == "note" else 0.1) else ""),
            adapter_vendor_id=vendor, adapter_device_id=device, address="0x0" if i % 2 else "0x7f0012345678",
            cpu_info="GenuineIntel family 6 model 158 stepping 10 | 8", url="https://" + SECRET, user_comments=SECRET,
            json_dump={"modules": [{"filename": m, "version": "2.0" if m == "evil.dll" else "1.0"} for m in loaded]})
    for i in range(20):
        crashes.add("rare", "Planted", channel="beta", version="8.0b1")


def api(datil, **params):
    answer = datil.get("/api/Correlations/", params)
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.parametrize("product", ["Rnd1", "Rnd2", "Rnd3"])
def test_same_as_naive(datil, product):
    crashes = datil.sets[product]
    for signature in sorted({c["signature"] for c in crashes}):
        group = [c for c in crashes if c["signature"] == signature]
        wanted = naive(group, crashes)
        got = api(datil, product=product, channel="release", signature=signature)
        assert (got["total"], got["total_reference"]) == (len(group), len(crashes))
        assert as_naive(got) == wanted, signature


def test_naive_finds_something(datil):
    """Else the comparison proves nothing: single results, pairs and priors."""
    found = [naive([c for c in cs if c["signature"] == s], cs) for cs in datil.sets.values() for s in {c["signature"] for c in cs}]
    assert sum(len(f) for f in found) > 15
    assert any(len(items) == 2 for f in found for items in f)
    assert any(r[2] for f in found for r in f.values())


def items(document):
    return [r["item"] for r in document["results"]]


def test_planted_causes(datil):
    def found(signature):
        return items(api(datil, product="Planted", channel="release", signature=signature))
    assert found("module")[0] == {'Module "evil.dll"': True}
    assert found("pair")[-1] == {"platform": "Linux", "safe_mode": "1"}
    assert [i for i in found("pair") if len(i) == 1] == found("none")
    assert found("addon")[0] == {'Addon "bad@x"': True}
    assert found("none") == [{"adapter_vendor_id": "0x8086"}]  # because of "card"; the card itself is explained by its maker
    assert found("note")[0] == {'"WebGL+" in app_notes': True}
    assert found("card")[0] == {"adapter_vendor_id": "Microsoft"}


def test_files(datil):
    everything = datil.get("/correlations/data/Planted/all.json.gz")
    assert everything.status == 200 and "Content-Encoding" not in everything.headers
    all_json = json.loads(gzip.decompress(everything.body))
    assert all_json == {"date": datetime.now(timezone.utc).strftime("%Y-%m-%d"), "release": TOTAL}
    name = hashlib.sha1(b"module").hexdigest()
    document = json.loads(gzip.decompress(datil.get(f"/correlations/data/Planted/release/{name}.json.gz").body))
    assert document["total"] == 300
    assert document["results"] == api(datil, product="Planted", channel="release", signature="module")["results"]
    for path in ("Planted", "", "..", "Planted/beta/" + name + ".json.gz", "%2e%2e/x.json.gz"):
        assert datil.get(f"/correlations/data/{path}").status in (400, 404), path


def test_old_addresses_answer_for_the_first_product(datil):
    assert datil.get("/correlations/data/all.json").status == 404
    crashes = Crashes(9)
    for i in range(60):
        crashes.add("old", "Firefox", os_name="Linux")
    crashes.load(datil)
    datil.datil("cron", "run", "correlations")
    assert datil.get("/correlations/data/all.json").json["release"] == 60
    assert datil.get(f"/correlations/data/release/{hashlib.sha1(b'old').hexdigest()}.json").json == {"total": 60, "total_reference": 60, "results": []}


def test_messages(datil):
    def message(**params):
        return api(datil, **params)["message"]
    assert message(product="Nope", signature="x") == 'No correlation data was generated for the "Nope" product.'
    assert message(product="Planted", channel="nightly", signature="x") == (
        'No correlation data was generated for the "nightly" channel and the "Planted" product.')
    assert message(product="Planted", channel="beta", signature="rare").startswith('No correlation data was generated for the "beta"')
    assert message(product="Planted", signature="elsewhere") == (
        'No correlations found for the signature "elsewhere" on the "release" channel, for the "Planted" product.')


def test_any_two_searches(datil):
    got = api(datil, group="product=Planted&signature=^modu", reference="product=Planted&signature=!%3Dmodule")
    assert (got["total"], got["total_reference"]) == (300, TOTAL - 280)
    assert items(got)[0] == {'Module "evil.dll"': True}
    without = api(datil, group="product=Planted&signature=%3Dmodule")
    assert without["total_reference"] == TOTAL + 20
    bad = datil.get("/api/Correlations/", {"group": "uptime=long"})
    assert bad.status == 400 and "uptime" in bad.text
    assert datil.get("/api/Correlations/", {"product": "Planted"}).status == 400


def test_text(datil):
    text = datil.get("/api/Correlations/", {"product": "Planted", "signature": "module", "format": "text"}).text
    assert f"300 crashes against {TOTAL}" in text
    line = next(t for t in text.splitlines() if "evil.dll" in t)
    assert line.startswith("(") and "% in signature vs " in line and 'Module "evil.dll" = true' in line and " crashes, p " in line
    told = datil.datil("correlations", "--product", "Planted", "--channel", "release", "--signature", "module").stdout
    assert line in told.splitlines()


def test_page(datil):
    page = datil.get("/signature/", {"signature": "module", "product": "Planted", "_correlations": "1"}).text
    assert "Module &quot;evil.dll&quot; = true" in page and "<strong>300</strong>" in page and "<strong>1,900</strong>" in page
    part = datil.get("/signature/correlations/", {"signature": "module", "product": "Planted", "_correlations": "page"}).text
    assert "<html" not in part and "evil.dll" in part and "<strong>1,920</strong>" in part
    empty = datil.get("/signature/correlations/", {"signature": "rare"}).text
    assert "No correlation data was generated" in empty


def test_report_offers_them(datil, minidump):
    crash_id = datil.post({}, minidump)
    signature = datil.wait_processed(crash_id)["signature"]
    page = datil.get(f"/report/index/{crash_id}").text
    assert 'id="tab-correlation"' in page and "/signature/correlations/?signature=" in page
    part = datil.get("/signature/correlations/", {"signature": signature, "product": "Crashme", "_correlations": "release"})
    assert part.status == 200 and "No correlation data was generated" in part.text


def test_a_version_of_a_module(datil):
    """A module that everybody has, and one of its versions that only the signature has."""
    crashes = Crashes(21)
    for i in range(200):
        broken = i % 2 and i % 10 != 1
        crashes.add("updated" if i % 2 else "others", "Versions",
                    json_dump={"modules": [{"filename": "av.dll", "version": "9.1" if broken else "9.0"}]})
    datil.datil("product", "add", "Versions")
    crashes.load(datil)
    got = api(datil, product="Versions", signature="updated")
    assert {'Module "av.dll" version "9.1"': True} in items(got)
    assert not [i for i in items(got) if 'Module "av.dll"' in i]


def test_protected_data_takes_no_part(datil):
    datil.add_user("sees@example.org", "a long password", "--group", "Hackers")
    key = datil.token("sees@example.org", "view_pii")
    for headers in ({}, {"Auth-Token": key}):
        for params in ({"product": "Planted", "signature": "module"}, {"group": "product=Planted&signature=module"},
                       {"product": "Planted", "signature": "note", "format": "text"}):
            assert SECRET not in datil.get("/api/Correlations/", params, headers).text
    # A stranger's condition on a protected field does not choose crashes.
    asked = f"product=Planted&url=~{SECRET}"
    assert api(datil, group=asked.replace(SECRET, "nothing-like-it"), reference="product=Planted")["total"] == TOTAL + 20
    assert datil.get("/api/Correlations/", {"group": asked.replace(SECRET, "no"), "reference": "product=Planted"},
                     {"Auth-Token": key}).json["total"] == 0
    assert SECRET not in datil.get("/signature/", {"signature": "module", "_correlations": "page"}).text
