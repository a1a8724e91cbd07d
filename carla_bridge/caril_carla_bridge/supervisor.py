"""The parent process: runs the bridge in a child, because the client library can abort a process
and a client whose server died never recovers. It imports no CARLA."""

import os
import signal
import subprocess
import sys
import tempfile
import time

EXIT_AGAIN = 75
# No exit code of a process.
HUNG = 1000
# One tick has time-outs of its own, of some seconds.
PATIENCE_S = 60.0
BUG = 70
CRASHES = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGFPE)
BACKOFF_MAX_S = 15.0
STOPS = (signal.SIGINT, signal.SIGTERM)


def say(text):
    """One line for a human."""
    print(f"bridge: {text}", file=sys.stderr, flush=True)


def hear(handler):
    """Takes the signals that ask to stop; those that waited are handled now."""
    for number in STOPS:
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def run(arguments, restarts, command=None, patience=PATIENCE_S):
    """Runs children until one ends for good. Returns its exit code; 1 after too many restarts.

    `command` replaces the child's program in tests.
    """
    asked, child = [], None

    def forward(number, _frame):
        asked.append(number)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)

    hear(forward)
    with tempfile.TemporaryDirectory(prefix="caril") as folder:
        status = os.path.join(folder, "status")
        program = command or [sys.executable, "-m", "caril_carla_bridge"]
        for attempt in range(restarts + 1):
            for left in (status, sign(status)):
                if os.path.exists(left):
                    os.unlink(left)
            # The child is born with signals waiting, as we were: see __main__.py.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
            if asked:
                return 0
            child = subprocess.Popen([*program, *arguments, "--child", status])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            code = verdict(wait(child, sign(status), patience), status)
            if code not in (EXIT_AGAIN, HUNG) and code not in CRASHES:
                return code
            if asked:
                return 0 if code in (EXIT_AGAIN, HUNG) else 1
            what = {
                EXIT_AGAIN: "lost its server",
                HUNG: "hung in the client library and was killed",
            }.get(code, f"was killed by signal {-code}")
            if attempt == restarts:
                say(f"the child {what}; given up after {restarts} restarts")
                return 1
            pause = min(2.0 ** attempt, BACKOFF_MAX_S)
            say(f"the child {what}; again in {pause:.0f} s ({attempt + 1} of {restarts})")
            end = time.monotonic() + pause
            while time.monotonic() < end and not asked:
                time.sleep(0.05)
            if asked:
                return 0
    return 1


def wait(child, ticking, patience):
    """The child's exit code; signals interrupt the waiting and do not end it. `HUNG` if it was
    killed, because one tick, for which the file `ticking` stands, took longer than `patience` s."""
    while True:
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            pass
        try:
            began = os.stat(ticking).st_mtime
        except OSError:
            continue
        if time.time() - began > patience:
            child.kill()
            child.wait()
            return HUNG


def sign(status):
    """The file that stands while the library ticks."""
    return None if status is None else status + ".tick"


def verdict(code, status):
    """What the child said of itself counts more than how its process died afterwards."""
    try:
        with open(status, encoding="utf-8") as f:
            return int(f.read())
    except (OSError, ValueError):
        return code
