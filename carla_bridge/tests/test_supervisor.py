"""The supervisor with children that crash, end or hang."""

import os
import signal
import subprocess
import sys
import textwrap
import time

from conftest import ROOT

from caril_carla_bridge import supervisor

RUN = "import sys; from caril_carla_bridge import supervisor; sys.exit(supervisor.run([], {}, [sys.executable, '-c', {!r}], {}))"


def run(script, restarts=1, patience=60.0):
    """(exit code, stderr) of a supervisor over a child script; `status` is its status file."""
    child = "import os, sys, signal, time\nstatus = sys.argv[-1]\n" + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(restarts, child, patience)], stderr=subprocess.PIPE, text=True,
        cwd=ROOT / "carla_bridge")


def result(p):
    _, err = p.communicate(timeout=60)
    return p.returncode, err


def test_exit_codes_pass_through():
    for code in (0, 1, 2, 3):
        assert result(run(f"os._exit({code})"))[0] == code


def test_what_was_said_counts_more_than_an_abort_at_exit():
    code, _ = result(run("open(status, 'w').write('3'); os.kill(os.getpid(), signal.SIGABRT)"))
    assert code == 3


def test_a_crash_is_followed_by_a_new_child(tmp_path):
    mark = tmp_path / "seen"
    code, err = result(run(f"""
        if not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, 'w').close()
            os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(0)
    """))
    assert code == 0 and "signal 11" in err


def test_a_child_that_hangs_in_a_tick_is_killed_and_followed_by_another(tmp_path):
    mark = tmp_path / "seen"
    code, err = result(run(f"""
        if not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, 'w').close()
            open(status + '.tick', 'w').close()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        time.sleep(2)  # waiting outside a tick is no hanging
        os._exit(0)
    """, patience=1.0))
    assert code == 0 and "hung in the client library" in err, err


def test_it_gives_up_after_so_many():
    code, err = result(run(f"os._exit({supervisor.EXIT_AGAIN})", restarts=1))
    assert code == 1 and "given up after 1 restarts" in err


def test_a_signal_reaches_the_child_and_ends_the_supervisor():
    for number in (signal.SIGINT, signal.SIGTERM):
        p = run("""
            asked = []
            from caril_carla_bridge import supervisor
            supervisor.hear(lambda *_: asked.append(1))
            print('ready', file=sys.stderr, flush=True)
            while not asked: time.sleep(0.01)
            open(status, 'w').write('0'); os._exit(0)
        """)
        assert p.stderr.readline().strip() == "ready"
        os.kill(p.pid, number)
        assert result(p)[0] == 0


def test_a_signal_waits_for_a_child_that_cannot_hear_yet():
    p = run("""
        print('ready', file=sys.stderr, flush=True)
        time.sleep(0.5)
        asked = []
        from caril_carla_bridge import supervisor
        supervisor.hear(lambda *_: asked.append(1))
        open(status, 'w').write('0' if asked else '1'); os._exit(9)
    """)
    assert p.stderr.readline().strip() == "ready"
    p.send_signal(signal.SIGINT)
    assert result(p)[0] == 0


def test_a_signal_in_the_first_moments_ends_with_0():
    """While modules load, before there is a child, and while that loads its own."""
    first = ("import os, signal, sys; sys.argv[1:] = ['--port', '1', '--connect-timeout', '20'];"
             "import caril_carla_bridge.__main__ as m; {}"
             "print('ready', file=sys.stderr, flush=True); m.main()")
    for now in ("os.kill(os.getpid(), signal.SIGTERM); ", ""):
        p = subprocess.Popen([sys.executable, "-c", first.format(now)], stderr=subprocess.PIPE,
                             text=True, cwd=ROOT / "carla_bridge")
        assert p.stderr.readline().strip() == "ready"
        if not now:
            p.terminate()
        assert result(p)[0] == 0


def test_a_signal_while_waiting_for_the_next_try():
    p = run(f"os._exit({supervisor.EXIT_AGAIN})", restarts=5)
    assert "again in" in p.stderr.readline()
    time.sleep(0.1)
    p.send_signal(signal.SIGTERM)
    assert result(p)[0] == 0
