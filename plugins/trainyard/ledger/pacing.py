"""When the next RunJobFlow may be sent: one pace for all workers, so that EMR need not throttle them.

Source: the generic cell rate algorithm, of which one time stamp is the whole state.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text

_TAKE_TURN = text(
    """
    INSERT INTO operations.launch_pace AS pace (name, full_at)
    VALUES ('launch', clock_timestamp() + make_interval(secs => :interval))
    ON CONFLICT (name) DO UPDATE
    SET full_at = greatest(pace.full_at, clock_timestamp()) + make_interval(secs => :interval)
    RETURNING extract(epoch FROM full_at - clock_timestamp()) - :burst * :interval
    """
)


@dataclass(frozen=True)
class Pace:
    """How fast clusters are launched, over all DAGs and runs.

    :param burst: launches that may follow each other at once after a pause
    """

    per_minute: float
    burst: int


def launch_delay_seconds(app: Engine, pace: Pace) -> float:
    """Take a turn: the seconds from now until the caller may launch; 0 at once.

    A caller that dies takes its turn with it, which costs the others one interval.
    """
    with app.begin() as connection:
        delay = connection.execute(_TAKE_TURN, {"interval": 60 / pace.per_minute, "burst": pace.burst})
        return max(0.0, float(delay.scalar_one()))
