"""Tiny stacks: a real supervisor with its guard, over parts that sleep."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from trainyard.laptop.processes import Member, end_stack, marker, members
from trainyard.laptop.settings import ROOT

STACK_ID = "0123456789abcdef"

SUPERVISOR = """
    import os, sys, time
    from pathlib import Path
    from trainyard.laptop.lock import StackRunningError
    from trainyard.laptop.processes import marker
    from trainyard.laptop.settings import Ports, Settings
    from trainyard.laptop.stopping import StackStoppedError
    from trainyard.laptop.supervisor import supervise

    state, part = Path(sys.argv[1]), sys.argv[2]
    ports = Ports(postgres=1, local_aws=2, airflow=3, log_server=4)
    settings = Settings(state=state, ports=ports)
    try:
        with supervise(
            settings, stack=marker("0123456789abcdef", state), environment=dict(os.environ),
            command="make up", tell=lambda line: print(line, flush=True),
            patience_seconds=0.5,
        ) as supervisor:
            supervisor.start("scheduler", [sys.executable, "-c", part])
            supervisor.start("local-aws", [sys.executable, "-c", "import time; time.sleep(600)"])
            while not (state / "ready").exists():
                time.sleep(0.02)
            print("up", flush=True)
            time.sleep(600)
    except (StackStoppedError, StackRunningError) as stopped:
        print(f"stopped: {stopped}", flush=True)
        sys.exit(3)
"""


OBEDIENT = ""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
# one child that is an orphan in a session of its own, one whose environment says nothing; both deaf
FUGITIVE = """
    import os, subprocess, sys
    deaf = (
        "import os, pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "new = pathlib.Path(sys.argv[1] + '.new'); new.write_text(str(os.getpid())); new.rename(sys.argv[1]);"
        "time.sleep(600)"
    )
    parent = (
        "import subprocess, sys;"
        "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], start_new_session=True)"
    )
    subprocess.run([sys.executable, "-c", parent, deaf, "orphan"], check=True)
    subprocess.Popen([sys.executable, "-c", deaf, "bare"], env={}, start_new_session=True)
    while not (os.path.exists("orphan") and os.path.exists("bare")):
        time.sleep(0.02)
"""


@dataclass
class TinyStack:
    """A supervisor in a process of its own, and what it started."""

    state: Path
    supervisors: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, part: str, *, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a supervisor whose first part runs the Python source ``part``, and wait until it is up."""
        supervisor = self.popen(part, under=under)
        assert supervisor.stdout is not None
        assert any(line == "up\n" for line in supervisor.stdout), f"it ended with {supervisor.wait()}"
        return supervisor

    def popen(self, part: str, *, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start it without waiting; ``under`` is a command that starts it in turn."""
        (self.state / "ready").unlink(missing_ok=True)
        source = f"import time\n{textwrap.dedent(part)}\nopen('ready', 'w').close()\ntime.sleep(600)\n"
        command = [*under, sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(self.state), source]
        supervisor = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        )
        self.supervisors.append(supervisor)
        return supervisor

    def members(self) -> list[Member]:
        """What lives of the stack, its guard included."""
        return members(marker(STACK_ID, self.state))

    def fugitives(self) -> list[int]:
        """Ids of living processes that ran away, whatever may be known of them from outside."""
        files = [self.state / name for name in ("orphan", "bare")]
        pids = [int(file.read_text()) for file in files if file.exists()]
        return [pid for pid in pids if psutil.pid_exists(pid) and _is_deaf(pid)]

    def assert_nothing_left(self) -> None:
        """Nothing of the stack is left, or will be in a moment."""
        deadline = time.monotonic() + 120
        while (self.members() or self.fugitives()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (self.members(), self.fugitives()) == ([], [])


def _is_deaf(pid: int) -> bool:
    try:
        # a zombie has no command line
        return "SIG_IGN" in " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(params=[OBEDIENT, DEAF, FUGITIVE], ids=["obedient", "deaf", "fugitive"])
def part(request: pytest.FixtureRequest) -> str:
    """Python source of a part of the stack, from the well-behaved to the one that runs away."""
    return str(request.param)


@pytest.fixture
def tiny_stack(tmp_path: Path) -> Iterator[TinyStack]:
    state = tmp_path / "state"
    state.mkdir()
    stack = TinyStack(state=state)
    yield stack
    for supervisor in stack.supervisors:
        with suppress(ProcessLookupError):
            supervisor.kill()
        supervisor.communicate(timeout=120)
    end_stack(marker(STACK_ID, state), state / "postgres", tell=lambda _: None)
