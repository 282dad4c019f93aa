"""datil's own words: what its list says, and what it says to somebody who forgot DATIL_VAR."""
import pytest

from harness import Installation


@pytest.fixture
def it():
    installation = Installation()
    yield installation
    installation.close()


def test_each_line_of_the_list_is_a_sentence(it):
    """The list shows the first line of each help text: one that goes on there is cut off."""
    lines = it.datil("help").output.splitlines()
    commands = [line for line in lines if line.startswith("  ")]
    assert len(commands) > 30
    assert [line for line in commands if not line.endswith(".")] == []


@pytest.mark.parametrize("command", [["doctor"], ["queue"], ["product", "add", "Stray"], ["product", "list"]])
def test_without_an_installation_datil_says_where_it_looked(it, command):
    """And makes none there: a product added beside the installation would be accepted by nobody."""
    done = it.datil(*command, check=False)
    assert done.returncode == 1
    assert done.output.startswith(f"datil: there is no installation at {it.var}: DATIL_VAR says"), done.output
    assert not it.var.exists()


def test_the_port_need_not_be_told_again(datil, minidump, tmp_path):
    """`crash send` and `datilctl status` from a shell that knows only DATIL_VAR."""
    (tmp_path / "some.dmp").write_bytes(minidump)
    port = datil.env.pop("DATIL_PORT")
    try:
        answer = datil.datil("crash", "send", tmp_path / "some.dmp", "--annotation", "ProductName=Crashme",
                             "--annotation", "Version=1.0")
        assert answer.output.startswith("CrashID=bp-")
        assert f":{port}/" in datil.ctl("status")
    finally:
        datil.env["DATIL_PORT"] = port


def test_a_family_of_commands_explains_itself(it):
    """What to type next: after a first word alone, `--help` behind it, or a second word that nobody knows."""
    asked = it.datil("symbols", "--help")
    assert "  symbols add " in asked.output and "  account" not in asked.output
    wrong = it.datil("symbols", "looup", check=False)
    assert wrong.returncode == 2 and wrong.output.startswith("datil: there is no command 'symbols looup'\n  symbols add ")
    assert it.datil("symbols", check=False).returncode == 2
