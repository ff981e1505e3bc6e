"""``python -m trainyard.laptop demo|up|down|train``: the whole product on this machine; `make help` says more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial

from rich.console import Console

from trainyard.laptop.down import down
from trainyard.laptop.environment import base_environment
from trainyard.laptop.lock import StackRunningError
from trainyard.laptop.postgres import PostgresError
from trainyard.laptop.settings import Settings, SettingsError, read_settings
from trainyard.laptop.stopping import StackStoppedError
from trainyard.laptop.timeline import Timeline

USAGE = """usage: python -m trainyard.laptop demo|up|down|train

  demo   start everything, train the four models of the portfolio demo, show the table, stop everything
  up     start everything and stay in the foreground until Ctrl-C
  down   stop what demo or up started and did not stop
  train  the demo in a stack that runs already, named by TRAINYARD_{AIRFLOW,LOCAL_AWS,POSTGRES}_URL
"""


def main(arguments: list[str]) -> int:
    """Run one command; the exit code is 0 where it did what it was asked."""
    commands: dict[str, Callable[[Settings, Timeline], int]] = {
        "demo": _demo,
        "up": _up,
        "down": down,
        "train": partial(_train, environ=dict(os.environ)),
    }
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write(USAGE)
        return 2
    console = Console()
    try:
        settings = read_settings(os.environ)
        # this process calls AWS and PostgreSQL too
        cleaned = base_environment(os.environ, settings)
        os.environ.clear()
        os.environ.update(cleaned)
        return commands[arguments[0]](settings, Timeline(console))
    except (SettingsError, StackRunningError, PostgresError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except StackStoppedError as stopped:
        # train leaves the stack that it found as it is
        sys.stderr.write(f"{stopped}\n" if arguments == ["train"] else f"{stopped}\neverything is stopped\n")
        return 128 + stopped.signal_number if stopped.signal_number else 1


def _up(settings: Settings, timeline: Timeline) -> int:
    # imported late: `down` needs neither AWS nor the databases
    from trainyard.laptop.up import up  # noqa: PLC0415

    return up(settings, timeline)


def _demo(settings: Settings, timeline: Timeline) -> int:
    from trainyard.laptop.demo import demo  # noqa: PLC0415

    return demo(settings, timeline)


def _train(settings: Settings, timeline: Timeline, *, environ: Mapping[str, str]) -> int:
    from trainyard.laptop.train import read_running_settings, train  # noqa: PLC0415

    return train(read_running_settings(environ, settings), timeline)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
