"""Linux's strong walls: a world of its own for the grader's workers, and in it a room of its own for each of them.

A warmed process makes the world once (`leave_world`, `furnish`): it sees no process but those it starts, no network,
and of the file system only what `world` names, to read. Each worker then gets a room (`start_in_room`, `close_door`):
it is process 1 of its own process namespace, so that nothing outlives it, and can write to a folder in memory that
vanishes with it. No root is needed: the rights for this come with a user namespace, and are given up before a line of
the learner's runs.
"""

import os
import re
from pathlib import Path

from cohort_grader.sandbox import linux
from cohort_grader.sandbox import visible as world

# A place that exists everywhere, on which the new root is put together; in the new root it is empty.
BUILDING_SITE = "/proc"
SCRATCH = "/scratch"
NOBODY = 65534
EVERY = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)
SEALED = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID


def counts_threads() -> bool:
    """Whether the kernel counts a user's threads in each user namespace apart (since 5.14), not all together."""
    return tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) >= (5, 14)


def leave_world() -> None:
    """Leave the namespaces of the system, except that of processes: that is for this process's children.

    Raises:
        OSError: the system does not allow it.
    """
    try:
        linux.unshare(EVERY)
    except OSError as error:
        raise OSError(error.errno, f"the system does not allow user namespaces ({error.strerror})") from None


def for_imports() -> str:
    """A folder that exists everywhere, and that `take_place_for_imports` makes a process's own."""
    return next(place for place in ("/dev/shm", "/mnt", "/media") if os.path.isdir(place))


def take_place_for_imports() -> None:
    """What libraries write while they are imported goes to memory of this world; nothing mounted here shows outside."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", for_imports(), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=700,size=64m")


def write_id_maps(process: int | str, user: int, group: int, helper: bool) -> None:
    """Let numbers of users mean in a new user namespace what they mean outside.

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


def own_process_namespace() -> int:
    """A descriptor of this process's own process namespace; taken before `furnish`, which hides /proc."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def furnish() -> None:
    """Put the world together out of read-only views, and make it the root."""
    linux.mount("tmpfs", BUILDING_SITE, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    for path in (*world.libraries(), str(world.LESSON_PACKAGE), *world.DEVICES):
        _show(path)
    _hide_answers()
    for name in (SCRATCH, "/proc", "/dev"):
        os.makedirs(BUILDING_SITE + name, exist_ok=True)
    for name in ("/tmp", "/dev/shm"):
        if not os.path.lexists(BUILDING_SITE + name):  # the course or its Python may lie in /tmp themselves
            os.symlink(SCRATCH, BUILDING_SITE + name)
    linux.change_root(BUILDING_SITE)
    linux.restrict_mount("/", SEALED)


def _show(path: str) -> None:
    target = BUILDING_SITE + path
    if os.path.lexists(target) or _already_shown(path):
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


def _already_shown(path: str) -> bool:
    """Whether `path` lies in what is shown already. What is built here belongs to us, what is shown does not change."""
    return os.path.exists(BUILDING_SITE + path)


def _hide_answers() -> None:
    """Lay an empty folder over each package that knows answers, where it lies among the libraries."""
    for package in world.secrets():
        linux.mount("tmpfs", BUILDING_SITE + package, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=64k")


def start_in_room(world_namespace: int) -> int:
    """Fork into a new process namespace. Returns 0 in the child, which is process 1 there, else the child's number."""
    linux.unshare(linux.CLONE_NEWPID)
    child = os.fork()
    if child:
        linux.setns(world_namespace, linux.CLONE_NEWPID)  # or there could be no second room
    return child


def close_door(scratch_bytes: int, as_nobody: bool) -> None:
    """In a new room: take the scratch folder, and give up every right but to compute."""
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS)
    options = f"mode=700,size={scratch_bytes},nr_inodes=10000" + (f",uid={NOBODY},gid={NOBODY}" if as_nobody else "")
    linux.mount("tmpfs", SCRATCH, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, options)
    if as_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    linux.drop_capabilities()
    os.chdir(SCRATCH)
