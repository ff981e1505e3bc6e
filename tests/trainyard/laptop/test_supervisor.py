"""However a supervisor ends, nothing of its stack is left, and nothing else is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_ends_every_process_before_the_supervisor_itself(
    tiny_stack: Any, part: str, number: signal.Signals
) -> None:
    supervisor = tiny_stack.start(part)
    assert {"guard", "scheduler", "local-aws"} <= {member.part for member in tiny_stack.members()}
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=120) == 3
    assert (tiny_stack.members(), tiny_stack.fugitives()) == ([], [])


def test_nothing_is_left_after_kill_9_of_the_supervisor(tiny_stack: Any, part: str) -> None:
    tiny_stack.start(part).kill()
    tiny_stack.assert_nothing_left()


def test_nothing_is_left_after_kill_9_of_the_program_that_started_it(tiny_stack: Any) -> None:
    # as make does: a parent that waits
    make = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    tiny_stack.start("", under=[sys.executable, "-c", make]).kill()
    tiny_stack.assert_nothing_left()


def test_nothing_is_left_after_kill_9_of_the_guard(tiny_stack: Any, part: str) -> None:
    supervisor = tiny_stack.start(part)
    next(member.process for member in tiny_stack.members() if member.part == "guard").kill()
    assert supervisor.wait(timeout=120) == 3
    assert (tiny_stack.members(), tiny_stack.fugitives()) == ([], [])


def test_the_next_start_ends_what_kill_9_of_supervisor_and_guard_left(tiny_stack: Any) -> None:
    supervisor = tiny_stack.start("")
    guard = next(member.process for member in tiny_stack.members() if member.part == "guard")
    supervisor.send_signal(signal.SIGSTOP)
    guard.kill()
    supervisor.kill()
    supervisor.wait()
    left = {member.process for member in tiny_stack.members()}
    assert len(left) == 2
    tiny_stack.start("")
    assert not left & {member.process for member in tiny_stack.members()}


def test_a_start_right_after_kill_9_waits_for_the_guard(tiny_stack: Any) -> None:
    first = tiny_stack.start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    left = {member.process for member in tiny_stack.members()}
    first.kill()
    tiny_stack.start("")
    assert not left & {member.process for member in tiny_stack.members()}


def test_a_part_that_ends_by_itself_ends_the_stack_and_is_named_with_its_last_words(tiny_stack: Any) -> None:
    supervisor = tiny_stack.popen(
        "open('ready', 'w').close(); time.sleep(1); raise SystemExit('out of steam')"
    )
    output, _ = supervisor.communicate(timeout=120)
    assert supervisor.returncode == 3
    assert "scheduler ended with exit code 1; its log is" in output
    assert "out of steam" in output
    assert tiny_stack.members() == []


def test_a_second_stack_of_the_same_state_is_refused_and_names_the_first(tiny_stack: Any) -> None:
    first = tiny_stack.start("")
    second = tiny_stack.popen("")
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 3
    assert (
        f"`make up` of this checkout is running already (process {first.pid}); stop it with: make down"
        in output
    )
    assert first.poll() is None
    assert len(tiny_stack.members()) == 3


def test_another_stacks_processes_are_left_alone(tiny_stack: Any) -> None:
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={"TRAINYARD_STACK": "0123456789abcdef-0"}
    )
    try:
        tiny_stack.start("").terminate()
        tiny_stack.assert_nothing_left()
        time.sleep(0.5)
        assert psutil.Process(stranger.pid).is_running()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
