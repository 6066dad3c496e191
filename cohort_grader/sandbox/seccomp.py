"""Refuse system calls that a submission must not make: programs and processes, sockets, other memory, mounts.

The filter is a short program that the kernel runs at every system call (seccomp, which browsers use for their
sandboxes). All other calls that were known when these tables were made are allowed, and limited by the rest of the
sandbox. Calls that a newer kernel adds fail as if they did not exist. The numbers are from the kernel's tables, for
64-bit x86 and for the table that ARM and RISC-V share.
"""

import ctypes
import errno
import os
import struct

from cohort_grader.sandbox import linux

# Offsets in struct seccomp_data. On these processors the low half of an argument comes first.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
PR_SET_SECCOMP, FILTER_MODE = 22, 2
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}
X32 = 0x40000000

_X86 = {
    # programs and processes (clone: threads only)
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
    # other processes
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_open": 434,
    "pidfd_getfd": 438, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "tkill": 200,
    "process_madvise": 440, "process_mrelease": 448, "migrate_pages": 256, "move_pages": 279, "setpgid": 109,
    "setsid": 112, "sched_setaffinity": 203,
    # network and local sockets (socketpair stays allowed: asyncio needs it, and it reaches no other process)
    "socket": 41, "connect": 42, "bind": 49, "listen": 50,
    # memory that no limit counts
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65,
    "msgget": 68, "msgsnd": 69, "msgrcv": 70, "mq_open": 240,
    # namespaces and mounts
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "mknod": 133, "mknodat": 259, "name_to_handle_at": 303, "open_by_handle_at": 304,
    # the kernel itself
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "keyctl": 250, "add_key": 248, "request_key": 249, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167,
    "swapoff": 168, "acct": 163, "quotactl": 179, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
    "clock_adjtime": 305, "personality": 135, "fanotify_init": 300, "iopl": 172, "ioperm": 173, "modify_ldt": 154,
    "sethostname": 170, "setdomainname": 171, "syslog": 103, "vhangup": 153, "lookup_dcookie": 212,
}  # fmt: skip
_GENERIC = {
    "execve": 221, "execveat": 281,
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_open": 434,
    "pidfd_getfd": 438, "pidfd_send_signal": 424, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "tkill": 130,
    "process_madvise": 440, "process_mrelease": 448, "migrate_pages": 238, "move_pages": 239, "setpgid": 154,
    "setsid": 157, "sched_setaffinity": 122,
    "socket": 198, "connect": 203, "bind": 200, "listen": 201,
    "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "shmat": 196, "shmctl": 195, "semget": 190, "semop": 193,
    "msgget": 186, "msgsnd": 189, "msgrcv": 188, "mq_open": 180,
    "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "mknodat": 33, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "keyctl": 219, "add_key": 217, "request_key": 218, "init_module": 105,
    "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294, "reboot": 142, "swapon": 224,
    "swapoff": 225, "acct": 89, "quotactl": 60, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171,
    "clock_adjtime": 266, "personality": 92, "fanotify_init": 262,
    "sethostname": 161, "setdomainname": 162, "syslog": 116, "vhangup": 58, "lookup_dcookie": 18,
}  # fmt: skip
REFUSED = {"x86_64": _X86, "aarch64": _GENERIC, "riscv64": _GENERIC}
# Allowed only on the process itself, their first argument: `kill` and `tgkill`. `clone` may only start threads.
SELF_ONLY = {"x86_64": (62, 234), "aarch64": (129, 131), "riscv64": (129, 131)}
CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
CLONE3 = 435  # its flags are in memory, which a filter cannot read; if it does not exist, the C library uses clone
# The last number that is specific to each table. Since 2019 (Linux 5.1) new calls have the same number in all tables;
# the last one covered here is `mseal` of Linux 6.10.
LAST = {"x86_64": 334, "aarch64": 294, "riscv64": 294}
FIRST_COMMON, LAST_COMMON = 424, 462
# Calls that change file metadata, which Landlock does not protect. Refused only where there are no namespaces.
METADATA = {
    "x86_64": (90, 91, 92, 93, 94, 260, 268, 452, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199),
    "aarch64": (52, 53, 54, 55, 452, 88, 5, 6, 7, 14, 15, 16),
    "riscv64": (52, 53, 54, 55, 452, 88, 5, 6, 7, 14, 15, 16),
}  # chmod, chown, utimes and extended attributes, in all variants


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def supported() -> bool:
    return linux.processor() in ARCHITECTURES


def install(also: tuple[int, ...] = ()) -> None:
    """Refuse these calls, and those with the numbers `also`, to this process. This cannot be undone.

    Raises:
        OSError: the kernel does not support it.
    """
    code = filter_for(linux.processor(), os.getpid(), also)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    program = Program(len(code) // 8, code)
    linux.call("prctl", PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(program))


def filter_for(machine: str, me: int, also: tuple[int, ...] = ()) -> bytes:
    """Return the filter's instructions, 8 bytes each, for the process with the PID `me`."""
    refuse, absent = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, ARCHITECTURES[machine]), (RETURN, 0, 0, KILL)]
    lines += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    # A jump of n skips n lines. New calls get ENOSYS, as on an older kernel, so that programs use a fallback.
    lines += [(AT_LEAST, 0, 3, LAST[machine] + 1), (AT_LEAST, 0, 1, FIRST_COMMON)]
    lines += [(AT_LEAST, 0, 1, LAST_COMMON + 1), (RETURN, 0, 0, absent)]
    lines += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, absent)]
    for number in (*REFUSED[machine].values(), *also):
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, refuse)]
    # Each of these checks is skipped if the number is a different one.
    lines += [(EQUAL, 0, 4, CLONE[machine]), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 1, 0, linux.CLONE_THREAD)]
    lines += [(RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    for number in SELF_ONLY[machine]:
        lines += [(EQUAL, 0, 4, number), (LOAD, 0, 0, FIRST_ARGUMENT), (EQUAL, 1, 0, me)]
        lines += [(RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    lines += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
