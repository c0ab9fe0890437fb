"""diff: what a container, or an image's last layer, changes."""

from __future__ import annotations

import json

from harness import Cli

# Every kind of change; podman 4.3.1 with its native overlay diff gave EXPECTED for the same script on
# the same image, but for /var: an opaque directory is D there, with what is new in it below.
CHANGES = """
echo x >> /etc/passwd
chmod 700 /home
mkdir -p /new/deep; echo a > /new/deep/f
rm /bin/sed
rm -rf /var; mkdir /var; echo 1 > /var/one
touch /root
chmod 644 /etc/group
ln -s /x /usr/link
rm -rf /tmp; echo file > /tmp
mkdir /gone; rmdir /gone
"""
EXPECTED = """\
C /bin
D /bin/sed
C /etc
C /etc/group
C /etc/passwd
C /home
A /new
A /new/deep
A /new/deep/f
C /root
C /tmp
C /usr
A /usr/link
C /var
A /var/one
D /var/tmp
"""


def test_all_kinds_of_changes_running_and_stopped(cli: Cli, image: str) -> None:
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", f"{CHANGES}\nsleep 100")
    cli("exec", "c", "sh", "-c", "until pidof sleep; do :; done")
    assert cli("diff", "c").stdout == EXPECTED
    cli("stop", "--time=0", "c")
    assert cli("diff", "c").stdout == EXPECTED
    assert cli("container", "diff", "--latest").stdout == EXPECTED
    document = json.loads(cli("diff", "--format", "json", "c").stdout)
    assert list(document) == ["changed", "added", "deleted"]
    assert document["deleted"] == ["/bin/sed", "/var/tmp"]


def test_a_container_that_changed_nothing(cli: Cli, image: str) -> None:
    """The mount points that a start made for itself are nobody's changes."""
    cli("create", "--name=c", "--network=none", image, "true")
    assert cli("diff", "c").stdout == ""
    cli("start", "c")
    cli("wait", "c")
    assert cli("diff", "c").stdout == ""
    assert cli("diff", "--format=json", "c").stdout == "{}\n"


def test_files_that_only_the_container_may_read(cli: Cli, image: str) -> None:
    script = "mkdir -m 700 /x; touch /x/y; chown -R 7:7 /x"
    cli("run", "--name=c", "--network=none", image, "sh", "-c", script)
    assert cli("diff", "c").stdout == "A /x\nA /x/y\n"


def test_names_pass_unchanged(cli: Cli, image: str) -> None:
    cli("run", "--name=c", "--network=none", image, "sh", "-c", "touch $(printf '/caf\\351') '/a b'")
    assert cli("diff", "c").stdout == "A /a b\nA /caf\udce9\n"


def test_image(cli: Cli, image: str) -> None:
    shown = cli("diff", image).lines
    assert shown[0] == "A /bin" and "A /bin/busybox" in shown
    assert all(line.startswith("A /") for line in shown)
    assert cli("image", "diff", image).lines == shown


def test_mistakes(cli: Cli) -> None:
    assert "no such object" in cli("diff", "nothing", status=125).stderr
    assert "no such container" in cli("container", "diff", "nothing", status=125).stderr
    assert "no such image" in cli("image", "diff", "nothing", status=125).stderr
    assert "name a container or an image" in cli("diff", status=125).stderr
    assert "json" in cli("diff", "--format=xml", "nothing", status=125).stderr
