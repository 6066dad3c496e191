"""Linux namespaces: one set for all workers of a pool, and a few more for each worker.

A sandbox is made once for each pool (`unshare_all`, `build_root`). It sees no processes but its own, no network, and
only the files that `visible` lists, read-only. Each worker then gets namespaces of its own (`fork_into_namespace`,
`confine`): it is process 1 of its process namespace, so that no process outlives it, and can write only to a folder in
memory that disappears with it. None of this needs root: a user namespace gives the capabilities, which are dropped
before any of the learner's code runs.
"""

import os
import re
from pathlib import Path

from cohort_grader.sandbox import linux, visible

# The new root is built on this folder because it exists everywhere; in the new root it is empty.
NEW_ROOT = "/proc"
SCRATCH = "/scratch"
NOBODY = 65534
ALL_NAMESPACES = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)
READ_ONLY = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID


def counts_threads() -> bool:
    """Whether the kernel counts a user's threads separately in each user namespace (since 5.14)."""
    return tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) >= (5, 14)


def unshare_all() -> None:
    """Move this process into new namespaces of every kind; only its children enter the new process namespace.

    Raises:
        OSError: the system does not allow it.
    """
    try:
        linux.unshare(ALL_NAMESPACES)
    except OSError as error:
        raise OSError(error.errno, f"the system does not allow user namespaces ({error.strerror})") from None


def cache_folder() -> str:
    """Return a folder that exists on this computer, over which `mount_cache_folder` mounts a private one."""
    return next(path for path in ("/dev/shm", "/mnt", "/media") if os.path.isdir(path))


def mount_cache_folder() -> None:
    """Keep files that libraries write while they are imported in memory; the mount is invisible to other processes."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", cache_folder(), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=700,size=64m")


def write_id_maps(process: int | str, user: int, group: int, helper: bool) -> None:
    """Map users and groups to themselves in a new user namespace.

    Args:
        process: the process whose namespace it is; "self" for this one.
        user, group: of the user who started the grader.
        helper: whether root calls this from outside the namespace, which allows mapping "nobody" as well.
    """
    base = Path("/proc") / str(process)
    if helper:
        (base / "uid_map").write_text(f"{user} {user} 1\n{NOBODY} {NOBODY} 1\n")
        (base / "gid_map").write_text(f"{group} {group} 1\n{NOBODY} {NOBODY} 1\n")
    else:
        (base / "setgroups").write_text("deny")
        (base / "uid_map").write_text(f"{user} {user} 1\n")
        (base / "gid_map").write_text(f"{group} {group} 1\n")


def open_process_namespace() -> int:
    """Return a descriptor of this process's process namespace. Call this before `build_root`, which hides /proc."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def build_root() -> None:
    """Build a file system out of read-only bind mounts, and make it the root."""
    linux.mount("tmpfs", NEW_ROOT, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    for path in (*visible.libraries(), visible.LESSON_PACKAGE, *visible.DEVICES):
        _bind_into_root(path)
    for package in visible.hidden():  # covered by an empty folder
        linux.mount("tmpfs", NEW_ROOT + package, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=64k")
    for name in (SCRATCH, "/proc", "/dev"):
        os.makedirs(NEW_ROOT + name, exist_ok=True)
    for name in ("/tmp", "/dev/shm"):
        if not os.path.lexists(NEW_ROOT + name):  # the course or Python may be installed in /tmp
            os.symlink(SCRATCH, NEW_ROOT + name)
    linux.change_root(NEW_ROOT)
    linux.restrict_mount("/", READ_ONLY)


def _bind_into_root(path: str) -> None:
    """Bind a file or folder to the same path under the new root, unless it is visible there already."""
    target = NEW_ROOT + path
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and not os.path.isabs(os.readlink(path)):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target)
    else:
        Path(target).touch()
    linux.bind(path, target)


def fork_into_namespace(own: int) -> int:
    """Fork into a new process namespace. Returns 0 in the child, which is process 1 there, and its PID in the parent.

    Args:
        own: from `open_process_namespace`; the next child enters it, unless this function forks that one, too.
    """
    linux.unshare(linux.CLONE_NEWPID)
    child = os.fork()
    if child:
        linux.setns(own, linux.CLONE_NEWPID)  # otherwise a second fork would fail
    return child


def confine(scratch_bytes: int, as_nobody: bool) -> None:
    """In the new child: mount the scratch folder, then drop all capabilities.

    Args:
        scratch_bytes: capacity of the folder.
        as_nobody: whether to become the user "nobody" instead of the one who grades.
    """
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS)
    options = f"mode=700,size={scratch_bytes},nr_inodes=10000" + (f",uid={NOBODY},gid={NOBODY}" if as_nobody else "")
    linux.mount("tmpfs", SCRATCH, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, options)
    if as_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    linux.drop_capabilities()
    os.chdir(SCRATCH)
