"""datil config check finds what the next start of a program would."""
import pytest

from harness import Installation


@pytest.fixture
def it():
    installation = Installation()
    yield installation
    installation.close()


def check(it, **env):
    it.env.update({k: str(v) for k, v in env.items()})
    done = it.datil("config", "check", check=False)
    return done.returncode, done.output


def test_good_configuration(it):
    assert check(it) == (0, "the configuration is good\n")


def test_what_is_not_built_is_refused_by_name(it):
    code, said = check(it, CRASHMOVER_CRASHSTORAGE_CLASS="s3")
    assert code == 1 and "CRASHMOVER_CRASHSTORAGE_CLASS" in said and "'s3'" in said and "fs" in said


@pytest.mark.parametrize("key,value", [
    ("CRASHMOVER_CRASHPUBLISH_CLASS", "pubsub"), ("EXPORT_STORE_CLASS", "s3"), ("LOGGING_LEVEL", "loud"), ("DATIL_BASE_URL", "crash.example.org"),
    ("SYMBOLS_PUBLIC_URL", "ftp://example.org"), ("DATABASE_URL", "host=x nonsense=y"),
    ("SIGNATURE_LISTS_DIR", "/nonexistent"), ("BREAKPAD_THROTTLER_RULES", "/nonexistent")])
def test_bad_value_is_named(it, key, value):
    code, said = check(it, **{key: value})
    assert code == 1 and key in said, said


def test_product_file_fields_and_rules_are_read(it, tmp_path):
    products = it.var / "config/products"
    products.mkdir(parents=True)
    (products / "bad.json").write_text('{"name": "Bad",\n "colour": 1}')
    code, said = check(it)
    assert code == 1 and "bad.json" in said
    (products / "bad.json").unlink()
    tmp_path.chmod(0o755)
    rules = tmp_path / "rules.json"
    rules.write_text('{"rules": [{"name": "x"}]}')
    rules.chmod(0o644)
    code, said = check(it, BREAKPAD_THROTTLER_RULES=rules)
    assert code == 1 and "rules.json" in said and "BREAKPAD_THROTTLER_RULES" in said
    it.env.pop("BREAKPAD_THROTTLER_RULES")
    (it.var / "config/fields.tsv").write_text("nonsense\n")
    code, said = check(it)
    assert code == 1 and "fields.tsv" in said and "1" in said
