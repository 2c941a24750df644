"""A small file system for each broker: can be filled, wiped and slowed. Unmounted with the run's mount namespace."""

import contextlib
import os
import subprocess
from pathlib import Path

SIZE_MB = 192
_V1, _V2 = Path("/sys/fs/cgroup/blkio"), Path("/sys/fs/cgroup")


class Disk:
    """An ext4 image on a loop device; the image has no name any more once it is mounted."""

    def __init__(self, folder, host):
        self.place = Path(folder) / f"disk{host}"
        self.place.mkdir(parents=True)
        image = Path(folder) / f"disk{host}.img"
        with open(image, "wb") as file:
            file.truncate(SIZE_MB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", "8192", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", str(image), str(self.place)], check=True)
        image.unlink()
        self.ballast = self.place / "ballast"
        self.group = Throttle(os.stat(self.place).st_dev, host)

    @property
    def data(self):
        """The data directory of the broker."""
        return self.place / "data"

    def fill(self):
        """Leaves no room; again, if some has come."""
        with contextlib.suppress(OSError), open(self.ballast, "ab") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()

    def make_room(self):
        """Takes back what `fill` did."""
        self.ballast.unlink(missing_ok=True)

    def wipe(self):
        """Empties the disk while its broker is down."""
        subprocess.run(["rm", "-rf", str(self.data)], check=True)


class Throttle:
    """A control group that limits writes to one device; where the kernel has none, `works` is false."""

    def __init__(self, device, host):
        self.device = f"{os.major(device)}:{os.minor(device)}"
        self.folder = None
        name = f"ottla-chaos-{os.environ.get('CHAOS_OWNER', os.getpid())}-{host}"
        if (_V1 / "blkio.throttle.write_bps_device").exists():
            self.folder = _V1 / name
        elif "io" in _read(_V2 / "cgroup.controllers").split() and "io" in _read(_V2 / "cgroup.subtree_control").split():
            self.folder = _V2 / name
        if self.folder:
            try:
                self.folder.mkdir(exist_ok=True)
            except OSError:
                self.folder = None

    @property
    def works(self):
        """Whether writes can be limited here."""
        return self.folder is not None

    def take(self, pid):
        """Puts a process in."""
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def limit(self, bytes_per_second, writes_per_second):
        """Limits writes; 0 takes the limits away."""
        if (self.folder / "io.max").exists():
            words = [str(item or "max") for item in (bytes_per_second, writes_per_second)]
            (self.folder / "io.max").write_text(f"{self.device} wbps={words[0]} wiops={words[1]}")
            return
        for name, value in (("bps", bytes_per_second), ("iops", writes_per_second)):
            (self.folder / f"blkio.throttle.write_{name}_device").write_text(f"{self.device} {value}")

    def remove(self):
        """Removes the group; its processes have ended."""
        if self.folder:
            with contextlib.suppress(OSError):
                self.folder.rmdir()


def _read(path):
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def sweep():
    """Removes control groups of runs that are gone; their names have the run's process id."""
    for parent in (_V1, _V2):
        for folder in parent.glob("ottla-chaos-*-*"):
            if not Path("/proc", folder.name.split("-")[2]).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
