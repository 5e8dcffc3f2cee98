"""Kills what a node started once the node is gone, however it went. Run as a program of its own, in its own session.

    python -I -S warden.py MARKER PARENT_PID [DIRECTORY]

It waits for the parent's end or for end-of-file on its standard input, then sends SIGKILL to every process whose
environment holds MARKER, and removes DIRECTORY, because pods' files hold Secrets. Containers inherit that variable, so
their children and daemons are found too.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time


def marked(marker: bytes) -> list[int]:
    """The processes of which the environment at their start held `marker`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        if marker in environment:
            found.append(int(entry))
    return found


def kill_marked(marker: bytes, patience: float = 5.0) -> bool:
    """SIGKILL them until none is left; False when some remain after `patience` seconds."""
    deadline = time.monotonic() + patience
    while pids := [pid for pid in marked(marker) if pid != os.getpid()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def main() -> None:
    marker, parent = sys.argv[1].encode(), int(sys.argv[2])
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    with contextlib.suppress(ProcessLookupError):
        poll.register(os.pidfd_open(parent), select.POLLIN)
        if os.getppid() == parent:
            poll.poll()
    kill_marked(marker)
    for directory in sys.argv[3:]:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
