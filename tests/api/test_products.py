"""What the file of a product says of its reports, through nginx: quota, tokens, sampling, size, other names, switched off."""
import hashlib
import itertools
import json
import re
import signal
import subprocess

import pytest
from harness import ANNOTATIONS, BIN, multipart, wait_until

numbers = itertools.count()


def settle(datil):
    """Each worker looks at the files with its next report: a hang-up, and its word that it has seen it."""
    def seen():
        return [line["pid"] for line in datil.log_lines("datil-collector") if line["event"] == "rules_loaded"]
    before = len(seen())
    parents, children = datil.program_pids("datil-collector")
    for pid in parents:
        datil.kill(pid, signal.SIGHUP)
    wait_until(lambda: len(seen()) - before >= len(children) - 1, 20, "every worker")  # one of them is the mover


def put(datil, name, *settings):
    datil.datil("product", "set", name, *settings)
    settle(datil)


@pytest.fixture
def product(datil):
    """A product of its own, known to the collector; its name."""
    name = f"Terms {next(numbers)}"
    datil.datil("product", "add", name)
    settle(datil)
    yield name
    datil.datil("product", "remove", name)


def send(datil, name, path="/submit", headers=None, number=0, **fields):
    """Answer of the collector: a crash id's beginning, or what was thrown away and why."""
    annotations = {**ANNOTATIONS, "ReleaseChannel": "release", "Number": str(number), **fields}
    annotations.pop("ProductName", None)
    annotations.pop("Throttleable", None)
    if name is not None:
        annotations["ProductName"] = name
    kind, body = multipart(annotations, {"upload_file_minidump": b"MDMP %d" % next(numbers)})
    return datil.request("POST", path, body, {"Content-Type": kind, **(headers or {})})


def said(answer):
    return re.sub(rb"CrashID=bp-[0-9a-f-]{36}\n", b"accepted", answer.body).decode()


def rule(kind, name):
    return f"Discarded=rule_{kind}_{name.replace(' ', '_')}"


def test_quota(datil, product):
    put(datil, product, "quota_per_day=4")
    assert [said(send(datil, product)) for _ in range(10)] == ["accepted"] * 4 + [rule("quota", product)] * 6
    _, text = datil.local("/collector/__metrics__")
    assert f'socorro_collector_breakpad_resource_throttle_rule{{rule="{rule("quota", product)[15:]}"}}' in text
    assert f'socorro_collector_product{{product="{product}",result="reject"}}' in text
    put(datil, product, "quota_per_day=")
    assert said(send(datil, product)) == "accepted"


def test_a_quota_outlives_the_collector(datil, product):
    put(datil, product, "quota_per_day=4")
    assert [said(send(datil, product)) for _ in range(3)] == ["accepted"] * 3
    before, children = datil.program_pids("datil-collector")
    for pid in before | children:
        datil.kill(pid)
    answers = []

    def is_back():
        answer = send(datil, product)
        answers.extend([said(answer)] if answer.status == 200 else [])
        return len(answers) == 3
    wait_until(is_back, 30, "a new collector")
    assert answers == ["accepted"] + [rule("quota", product)] * 2
    assert not before & datil.program_pids("datil-collector")[0]


def test_a_quota_is_not_used_up_by_what_is_refused(datil, product):
    put(datil, product, "enabled=false", "quota_per_day=2")
    for _ in range(5):
        assert said(send(datil, product)) == "Discarded=rule_product_disabled"
    put(datil, product, "enabled=true")
    assert [said(send(datil, product)) for _ in range(3)] == ["accepted"] * 2 + [rule("quota", product)]


def test_a_report_over_quota_comes_again(datil, product):
    """The memory of answers must not keep a refusal that ends with the minute."""
    put(datil, product, "quota_per_day=1")
    assert said(send(datil, product)) == "accepted"
    kind, body = multipart({**ANNOTATIONS, "ProductName": product, "CrashTime": "1790000000"}, {"upload_file_minidump": b"MDMP again"})

    def again():
        return said(datil.request("POST", "/submit", body, {"Content-Type": kind}))
    assert again() == rule("quota", product)
    put(datil, product, "quota_per_day=")
    assert again() == "accepted"


def test_tokens(datil, product):
    token = datil.datil("product", "token", product).stdout.strip()
    assert re.fullmatch("[0-9a-f]{32}", token)
    put(datil, product, "requires_token=true")
    for how in ({"path": "/submit/" + token}, {"headers": {"X-Submit-Token": token}}):
        assert said(send(datil, product, **how)) == "accepted"
        assert said(send(datil, "Firefox", Comments="x", **how)) == "Discarded=rule_wrong_token"
        answer = send(datil, None, **how)  # the token says which product it is
        assert said(answer) == "accepted"
        crash = answer.body[len(b"CrashID=bp-"):].decode().strip()
        raw = wait_until(lambda: datil.datil("crash", "show", crash, "--raw", check=False).stdout, 20, "the report")
        assert json.loads(raw)["ProductName"] == product
    assert said(send(datil, product)) == "Discarded=rule_token_required"
    wrong = hashlib.sha256(token.encode()).hexdigest()
    assert send(datil, product, "/submit/" + wrong).status == 404
    assert send(datil, product, headers={"X-Submit-Token": wrong}).status == 403
    second = datil.datil("product", "token", product).stdout.strip()
    settle(datil)
    assert said(send(datil, product, "/submit/" + second)) == "accepted"
    assert said(send(datil, product, "/submit/" + token)) == "accepted"
    assert said(send(datil, product, "/collector/submit/" + token)) == "accepted"
    for path in (f"/%73ubmit/{token}", f"/submi%74/{token}", f"/%2Fsubmit/{token}", f"/x/../submit/{token}", f"/./submit/{token}",
                 f"/submit/{token}?x=1", f"/%73ubmit/{token}/more"):
        send(datil, product, path)
    assert said(send(datil, product, f"/%73ubmit/{token}")) == "accepted"
    short = "A short one!"
    put(datil, product, "submit_tokens=" + json.dumps([short, token]))
    assert said(send(datil, product, "/submit/A%20short%20one!")) == "accepted"  # the product's file is the one rule
    for log in (datil.var / "log").glob("*.log"):
        text = log.read_text(errors="replace")
        assert token not in text and short not in text and "A%20short" not in text, log
    assert '"path":"/submit/-"' in (datil.var / "log/nginx-access.log").read_text()


def test_sampling(datil, product):
    """In place of what keeps everything or a share of everything, and not of rules with a reason."""
    sampled = rule("sampling", product)
    put(datil, product, 'sampling={"release": 0, "beta": 50, "*": 100}')
    assert said(send(datil, product)) == sampled
    assert said(send(datil, product, Comments="x")) == "accepted"
    assert said(send(datil, product, ReleaseChannel="default")) == "accepted"
    answers = [said(send(datil, product, ReleaseChannel="odd")) for _ in range(20)]
    assert set(answers) == {"accepted"}
    put(datil, product, 'sampling={"*": 25}')
    answers = [said(send(datil, product, ReleaseChannel="odd")) for _ in range(100)]
    assert set(answers) == {"accepted", sampled}
    answer = wait_until(lambda: (a := send(datil, product)).body.startswith(b"CrashID") and a, 20, "one that is kept")
    crash = answer.body[len(b"CrashID=bp-"):].decode().strip()
    raw = json.loads(wait_until(lambda: datil.datil("crash", "show", crash, "--raw", check=False).stdout, 20, "the report"))
    assert (raw["metadata"]["throttle_rule"], raw["metadata"]["throttle_rate"]) == (sampled[15:], 0.25)


def test_sampling_of_a_report_is_always_the_same(datil, product):
    put(datil, product, 'sampling={"*": 50}')

    def answers():
        out = []
        for number in range(30):
            kind, body = multipart({**ANNOTATIONS, "ProductName": product, "ReleaseChannel": "release"}, {"upload_file_minidump": b"MDMP same %d" % number})
            out.append(said(datil.request("POST", "/submit", body, {"Content-Type": kind})))
        return out
    first = answers()
    assert len(set(first)) == 2 and answers() == first


def test_alias(datil, product):
    put(datil, product, f'aliases=["Old {product}", "{product} EU"]')
    answer = send(datil, f"Old {product}")
    assert said(answer) == "accepted"
    crash = answer.body[len(b"CrashID=bp-"):].decode().strip()
    raw = json.loads(wait_until(lambda: datil.datil("crash", "show", crash, "--raw", check=False).stdout, 20, "the report"))
    assert raw["ProductName"] == product
    assert "ProductName was an alias" in raw["metadata"]["collector_notes"]


def test_size(datil, product):
    put(datil, product, "max_body_bytes=20000")
    answer = send(datil, product, Pad="x" * 30000)
    assert (answer.status, answer.body) == (413, b"Discarded=malformed_payload_too_large")
    assert said(send(datil, product, Pad="x" * 10000)) == "accepted"
    assert send(datil, "Firefox", Pad="x" * 30000).status == 200


@pytest.mark.parametrize("setting, words", [
    ("quota_per_day=-1", "quota_per_day"), ("quota_per_minute=many", "quota_per_minute"), ("enabled=yes", "enabled"),
    ('sampling={"release": 101}', "sampling"), ("aliases=Old", "aliases"), ("nothing=1", "unknown key 'nothing'"), ("=1", "KEY=VALUE")])
def test_settings_that_are_none(datil, product, setting, words):
    before = datil.datil("product", "show", product).stdout
    refused = datil.datil("product", "set", product, setting, check=False)
    assert refused.returncode == 1 and words in refused.output
    assert datil.datil("product", "show", product).stdout == before


def test_two_products_of_one_name(datil, product):
    """The command refuses an alias that another product has.  A file that was edited so is a bad one: the old ones
    stay in use, and the heartbeat says so."""
    refused = datil.datil("product", "set", product, 'aliases=["Firefox"]', check=False)
    assert refused.returncode and "'Firefox' has one of these names" in refused.stderr
    path = next(p for p in (datil.var / "config/products").iterdir() if json.loads(p.read_text())["name"] == product)
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "aliases": ["Firefox"]}))
    try:
        wait_until(lambda: "products" in datil.get("/collector/__heartbeat__").text, 10, "the heartbeat")
        assert said(send(datil, "Firefox", Comments="x")) == "accepted"
    finally:
        path.write_text(before)
    wait_until(lambda: datil.get("/collector/__heartbeat__").status == 200, 10, "the heartbeat")


def test_dry_run_knows_the_terms(datil, product):
    token = datil.datil("product", "token", product).stdout.strip()

    def judge(**line):
        line = {"annotations": {"ProductName": product, "ReleaseChannel": "odd", **line.pop("annotations", {})}, **line}
        done = subprocess.run([str(BIN / "datil-collector"), "--throttle", "--rules", "accept_all"], env=datil.env, text=True,
                              input=json.dumps(line), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return json.loads(done.stdout)["rule"] if done.returncode == 0 else done.stderr
    kept = judge()
    datil.datil("product", "set", product, "requires_token=true", f'aliases=["Old {product}"]')
    assert judge() == judge(annotations={"ProductName": f"Old {product}"}) == "token_required"
    assert judge(token=token) == kept
    assert judge(token=token, annotations={"ProductName": "Firefox"}) == "wrong_token"
    assert "no product has it" in judge(token=token + "x")
    datil.datil("product", "set", product, "enabled=false")
    assert judge(token=token) == "product_disabled"
    assert judge(profile="all_products") == kept
