"""The memory of a driver whose shell left something behind."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.train import driver_memory

# as spark-class does: what is begun in the shell is nobody's once that has become the driver
SCRIPT = (
    "sleep 0.3 & exec {} -c 'import time; held = bytearray(80 << 20); print(flush=True); time.sleep(600)'"
)


def test_what_the_shell_left_behind_hides_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_memory, "SAMPLED_EVERY_SECONDS", 0.05)
    command = ["bash", "-c", SCRIPT.format(sys.executable)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            (left,) = psutil.Process(process.pid).children()
            while left.status() != psutil.STATUS_ZOMBIE:
                assert process.poll() is None
                time.sleep(0.01)
            with driver_memory.driver_memory(process.pid) as peak:
                while peak.mb < 80:
                    assert process.poll() is None
                    time.sleep(0.01)
        finally:
            process.kill()


def test_a_driver_that_was_never_seen_has_no_figure() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        with (
            pytest.raises(RuntimeError, match="no memory of process"),
            driver_memory.driver_memory(process.pid),
        ):
            pass
