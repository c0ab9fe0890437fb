"""The mark of directories that get large trees."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from daemonless.layers.spreading import _FS_IOC_GETFLAGS, _FS_TOPDIR_FL, spread


def test_a_directory_is_marked_where_the_disk_has_such_marks(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        spread(fd)
        spread(fd)  # once more does no harm
        os.mkdir("inner", dir_fd=fd)
        assert os.listdir(fd) == ["inner"]
        kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True).stdout
        if kind.strip() == "ext2/ext3":  # what stat calls ext4
            flags = int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8)), "little")
            assert flags & _FS_TOPDIR_FL
    finally:
        os.close(fd)


def test_what_cannot_be_marked_is_left_alone(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    spread(read_end)
    os.close(read_end)
    os.close(write_end)
