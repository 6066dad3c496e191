"""Linux namespaces: one set of them for all workers of a pool, and a few more for each of these workers.

A sandbox is made once for a pool (`unshare_all`, `build_root`): in it there is no process but its own, no network, and
of the file system only what `visible` names, to read. Each worker then gets namespaces of its own
(`fork_into_namespace`, `confine`): it is process 1 of its process namespace, so that nothing outlives it, and can write
to a folder in memory that vanishes with it. No root is needed: the rights for this come with a user namespace, and are
given up before a line of the learner's runs.
"""

import os
import re
from pathlib import Path

from cohort_grader.sandbox import linux, visible

# A folder that exists everywhere, on which the new root is put together; in the new root it is empty.
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
    """Whether the kernel counts a user's threads in each user namespace apart (since 5.14), not all together."""
    return tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) >= (5, 14)


def unshare_all() -> None:
    """Move this process into new namespaces of every kind; into that of processes come only its children.

    Raises:
        OSError: the system does not allow it.
    """
    try:
        linux.unshare(ALL_NAMESPACES)
    except OSError as error:
        raise OSError(error.errno, f"the system does not allow user namespaces ({error.strerror})") from None


def cache_folder() -> str:
    """A folder that exists everywhere, and that `mount_cache_folder` makes a process's own."""
    return next(place for place in ("/dev/shm", "/mnt", "/media") if os.path.isdir(place))


def mount_cache_folder() -> None:
    """Let what libraries write while they are imported go to memory; nothing that is mounted here shows outside."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", cache_folder(), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=700,size=64m")


def write_id_maps(process: int | str, user: int, group: int, helper: bool) -> None:
    """Let the numbers of users mean in a new user namespace what they mean outside.

    Args:
        process: whose namespace; "self" for one's own.
        user, group: who started the grader.
        helper: called by root from outside, so that "nobody" can be there, too.
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
    """A descriptor of this process's own process namespace; to be taken before `build_root`, which hides /proc."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def build_root() -> None:
    """Put a file system together out of read-only views, and make it the root."""
    linux.mount("tmpfs", NEW_ROOT, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    for path in (*visible.libraries(), visible.LESSON_PACKAGE, *visible.DEVICES):
        _show(path)
    for package in visible.hidden():  # an empty folder lies over it
        linux.mount("tmpfs", NEW_ROOT + package, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=64k")
    for name in (SCRATCH, "/proc", "/dev"):
        os.makedirs(NEW_ROOT + name, exist_ok=True)
    for name in ("/tmp", "/dev/shm"):
        if not os.path.lexists(NEW_ROOT + name):  # the course or its Python may lie in /tmp themselves
            os.symlink(SCRATCH, NEW_ROOT + name)
    linux.change_root(NEW_ROOT)
    linux.restrict_mount("/", READ_ONLY)


def _show(path: str) -> None:
    """Show a file or folder at the same path under the new root, unless it lies in what is shown there already."""
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
    """Fork into a new process namespace. Returns 0 in the child, which is process 1 there, else the child's number.

    Args:
        own: from `open_process_namespace`; into it goes the next child unless another one is made for it.
    """
    linux.unshare(linux.CLONE_NEWPID)
    child = os.fork()
    if child:
        linux.setns(own, linux.CLONE_NEWPID)  # without this there could be no second child
    return child


def confine(scratch_bytes: int, as_nobody: bool) -> None:
    """In the new child: mount the scratch folder, and give up every right but to compute.

    Args:
        scratch_bytes: how much the folder holds.
        as_nobody: whether to become another user than the one who grades.
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
