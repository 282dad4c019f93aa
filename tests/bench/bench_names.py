"""Names of functions in five stripped Debian libraries: how many addresses get the right one, none, a foreign one."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "golden/dump-syms"))
import accuracy  # noqa: E402

accuracy.main()
