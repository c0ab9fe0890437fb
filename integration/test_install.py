"""What install.sh leaves: a launcher that loads the hot modules from their one file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import Cli


def test_hot_modules_come_from_the_file_the_installer_made(cli: Cli) -> None:
    launcher = Path(cli.program).read_text()
    head, _, _ = launcher.partition("from daemonless.__main__")
    check = (
        "import daemonless.actions.run as run\n"
        "import daemonless.isolation.init as init\n"
        "assert {type(m.__loader__).__name__ for m in (run, init)} == {'HotPath'}\n"
        "assert gc.isenabled() is False\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-ISEc", head + check], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
