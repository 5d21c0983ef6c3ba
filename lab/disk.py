# SPDX-License-Identifier: MIT
"""Disks for the tests of the relay's promise: a file with a file system in it, which can be filled and
whose power can be cut.  Needs root and loop devices; knows nothing of mail."""

import fcntl
import os
import shutil
import struct
import subprocess

import report
from daemon import wait_until

GOING_DOWN = 0x8004587D                 # XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN: _IOR('X', 125, u32)
NO_LOG_FLUSH = 2                        # the journal's tail in memory is dropped
BYTES = 512 * 1024 * 1024
MAKE = {"xfs": ["mkfs.xfs", "-q", "-f"], "ext4": ["mkfs.ext4", "-q", "-F"]}
KINDS = list(MAKE)


class CannotHave(Exception):
    """This machine does not let us have such a disk; the text says why."""


class Disk:
    """A file with a file system in it, and the folder where it is mounted."""

    def __init__(self, kind):
        self.kind = kind
        # On ext4 (seen with 6.18) an fdatasync under way at the shutdown may succeed although its data
        # never reach the disk.  No power failure can do that: nobody would be there to be told.
        self.honest = kind == "xfs"
        self.image = report.state() / f"disk-{kind}.img"
        self.folder = report.state() / f"disk-{kind}"
        if not shutil.which(MAKE[kind][0]):
            raise CannotHave(f"{kind}: {MAKE[kind][0]} is not installed")
        self.folder.mkdir(exist_ok=True)
        self.image.unlink(missing_ok=True)
        self.image.touch()
        os.truncate(self.image, BYTES)
        run(kind, [*MAKE[kind], str(self.image)])
        self.mount()

    def mount(self):
        run(self.kind, ["mount", "-t", self.kind, "-o", "loop", str(self.image), str(self.folder)])

    def cut(self):
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as e:
            raise CannotHave(f"{self.kind}: the kernel cannot shut it down: {e.strerror}") from e
        finally:
            os.close(fd)

    def unmount(self):
        """Waits for the last process that has a file open there."""
        done = wait_until(lambda: subprocess.run(["umount", str(self.folder)], capture_output=True).returncode == 0,
                          20, 0.05)
        if not done:
            raise RuntimeError(f"{self.folder} stays in use")

    def fill(self, name="filler"):
        """Not an octet is left for anybody; returns what to call to have the room back."""
        path, step = self.folder / name, 16 * 1024 * 1024
        with open(path, "wb") as f:
            at = 0
            while step >= 4096:
                try:
                    os.posix_fallocate(f.fileno(), at, step)
                    at += step
                except OSError:
                    step //= 2
        return path.unlink

    def remove(self):
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)
        self.image.unlink(missing_ok=True)


def run(kind, command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CannotHave(f"{kind}: {' '.join(command[:1])}: {done.stderr.strip() or done.stdout.strip()}")
