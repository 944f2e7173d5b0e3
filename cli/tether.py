"""Run a command that cannot outlive the process that started it: `python -I -S tether.py PARENT COMMAND...`.

A program of its own, not a `preexec_fn`: Python code between fork and exec may hang when the parent has threads, and
ours has those of the Temporal client. It imports next to nothing, because every service starts through it.
"""

import ctypes
import os
import signal
import sys

#: linux/prctl.h: the signal that the kernel sends this process when the thread that started it ends, kill -9 included.
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command. Exits 1 where the parent is gone already."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"process {parent} ended before {command[0]} began")
    os.execvp(command[0], command)  # noqa: S606 - the very purpose: no shell, an argument list


if __name__ == "__main__":
    main()
