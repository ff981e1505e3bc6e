"""What a person decides about serving: another version serves, a model is pinned or unpinned.

Each is one transaction under the lock of what serves, and a row in a log that is only added to. A model that was rolled
back is pinned, so that the next night's run, which would bring newer data, does not undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Engine, text

from trainyard.publishing.application import Position, advance, lock_serving

# the activation that says what serves, and whether the model is pinned
_LIVE = text(
    """
    SELECT live.version_id, live.data_date, live.activation_id, coalesce(pin.pinned, false) AS pinned, pin.actor AS
           pinned_by
    FROM serving.live_model AS live
    LEFT JOIN LATERAL (
        SELECT pinned, actor FROM serving.pin
        WHERE (pin.portfolio, pin.model) = (live.portfolio, live.model)
        ORDER BY pin_id DESC LIMIT 1
    ) AS pin ON true
    WHERE live.portfolio = :portfolio AND live.model = :model
    """
)

# what served before the live version served for the first time: going back twice goes back two steps
_BEFORE = text(
    """
    SELECT replaced_version_id FROM serving.activation
    WHERE portfolio = :portfolio AND model = :model AND version_id = :version_id
    ORDER BY activation_id LIMIT 1
    """
)

_VERSION = text(
    """
    SELECT version_id, data_date, emptied_at IS NOT NULL AS emptied FROM serving.model_version
    WHERE portfolio = :portfolio AND model = :model AND version_id = :version_id
    """
)

_SAME_REQUEST = text(
    """
    SELECT version_id, replaced_version_id FROM serving.activation
    WHERE portfolio = :portfolio AND model = :model AND actor = :actor
    ORDER BY activation_id DESC LIMIT 1
    """
)

_ACTIVATE = text(
    """
    INSERT INTO serving.activation
        (activation_id, version_id, portfolio, model, activated_at, actor, reason, replaced_version_id)
    OVERRIDING SYSTEM VALUE
    VALUES (:activation_id, :version_id, :portfolio, :model, :moment, :actor, :reason, :replaced_version_id)
    """
)

_PIN = text(
    """
    INSERT INTO serving.pin (pin_id, version_id, portfolio, model, pinned, pinned_at, actor, reason)
    OVERRIDING SYSTEM VALUE
    VALUES (:pin_id, :version_id, :portfolio, :model, :pinned, :moment, :actor, :reason)
    """
)

_MODELS = text("SELECT DISTINCT portfolio, model FROM serving.model_version ORDER BY portfolio, model")


class RollbackError(ValueError):
    """What was asked for cannot be; the text says why and what could."""


@dataclass(frozen=True)
class ModelName:
    """A model is named within its portfolio only."""

    portfolio: str
    model: str

    def __str__(self) -> str:
        return f"{self.portfolio}.{self.model}"


@dataclass(frozen=True)
class Change:
    """What a person's word changed.

    :param version_id: what serves now
    :param replaced_version_id: what served before, none where nothing did; the same where only the pin changed
    """

    name: ModelName
    version_id: int
    replaced_version_id: int | None
    pinned: bool

    @property
    def sentence(self) -> str:
        """For a person."""
        held = (
            f"pinned: no run replaces it until `trainyard unpin {self.name}`"
            if self.pinned
            else "not pinned: the next run may replace it"
        )
        if self.version_id == self.replaced_version_id:
            return f"{self.name}: version {self.version_id} serves, {held}"
        before = "nothing" if self.replaced_version_id is None else f"version {self.replaced_version_id}"
        return f"{self.name}: version {self.version_id} serves instead of {before}, {held}"


@dataclass(frozen=True)
class _Live:
    version_id: int
    data_date: date
    activation_id: int
    pinned: bool
    pinned_by: str | None


def find_model(app: Engine, word: str, *, portfolio: str | None = None) -> ModelName:
    """The model that a person means by ``portfolio.model``, or by ``model`` alone where one portfolio has it.

    :raises RollbackError: there is none with a version, or there are several
    """
    with app.connect() as connection:
        known = [ModelName(row.portfolio, row.model) for row in connection.execute(_MODELS)]
    first, dot, second = word.partition(".")
    if dot and portfolio not in {None, first}:
        raise RollbackError(f"{word} names another portfolio than {portfolio}")
    within, model = (first, second) if dot else (portfolio, word)
    found = [name for name in known if name.model == model and within in {None, name.portfolio}]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(map(str, found))
        raise RollbackError(f"model {model} is in several portfolios: say which of {names}")
    where = f" in portfolio {within}" if within else ""
    near = get_close_matches(model, {name.model for name in known if within in {None, name.portfolio}}, n=1)
    raise RollbackError(f"model {model} has no version{where}" + (f"; nearest: {near[0]}" if near else ""))


def roll_back(
    app: Engine, name: ModelName, *, actor: str, reason: str, to: int | None = None, once: bool = False
) -> Change:
    """Let another version serve, and pin it.

    :param to: the version, also where nothing serves yet; none: the one that served before the live one did for the
        first time
    :param once: ``actor`` names one request, such as a DAG run: asked again, what it did the first time is told
    :raises RollbackError: there is no such version, or it serves already
    """
    _check_reason(reason)
    with app.begin() as connection:
        position = lock_serving(connection)
        if once and (done := _done_before(connection, name, actor)) is not None:
            return done
        live = _live(connection, name)
        target = _before(connection, name, live) if to is None else to
        _check_target(connection, name, target, live)
        replaced = None if live is None else live.version_id
        values = {"actor": actor, "reason": reason, **_parameters(name), "moment": position.moment}
        connection.execute(
            _ACTIVATE,
            {
                **values,
                "activation_id": position.activation_id + 1,
                "version_id": target,
                "replaced_version_id": replaced,
            },
        )
        advance(connection, "activation", "activation_id", position.activation_id + 1)
        _write_pin(connection, name, target, position, pinned=True, actor=actor, reason=reason)
    return Change(name, version_id=target, replaced_version_id=replaced, pinned=True)


def set_pin(
    app: Engine, name: ModelName, *, pinned: bool, actor: str, reason: str, once: bool = False
) -> Change:
    """Keep runs from replacing what serves, or let them again.

    :param once: ``actor`` names one request, such as a DAG run: asked again, nothing more is done
    :raises RollbackError: nothing serves, or it is pinned, or not, already
    """
    _check_reason(reason)
    with app.begin() as connection:
        position = lock_serving(connection)
        live = _live(connection, name)
        if live is None:
            raise _nothing_serves(name)
        done = once and live.pinned_by == actor
        if live.pinned == pinned and not done:
            already = f"pinned already, by {live.pinned_by}" if pinned else "not pinned"
            raise RollbackError(f"{name} is {already}")
        if not done:
            _write_pin(connection, name, live.version_id, position, pinned=pinned, actor=actor, reason=reason)
    return Change(name, version_id=live.version_id, replaced_version_id=live.version_id, pinned=pinned)


def _done_before(connection: Connection, name: ModelName, actor: str) -> Change | None:
    row = connection.execute(_SAME_REQUEST, {**_parameters(name), "actor": actor}).one_or_none()
    return None if row is None else Change(name, row.version_id, row.replaced_version_id, pinned=True)


def _live(connection: Connection, name: ModelName) -> _Live | None:
    row = connection.execute(_LIVE, _parameters(name)).mappings().one_or_none()
    return None if row is None else _Live(**row)


def _nothing_serves(name: ModelName) -> RollbackError:
    return RollbackError(
        f"no version of {name} serves: `trainyard rollback {name} --to VERSION` lets one serve"
    )


def _before(connection: Connection, name: ModelName, live: _Live | None) -> int:
    if live is None:
        raise _nothing_serves(name)
    before = connection.execute(_BEFORE, {**_parameters(name), "version_id": live.version_id}).scalar_one()
    if before is None:
        raise RollbackError(
            f"version {live.version_id} is the first that served of {name}: name another with --to, or leave it"
        )
    return int(before)


def _check_target(connection: Connection, name: ModelName, target: int, live: _Live | None) -> None:
    if live is not None and target == live.version_id:
        raise RollbackError(f"version {target} of {name} serves already")
    row = connection.execute(_VERSION, {**_parameters(name), "version_id": target}).one_or_none()
    if row is None:
        raise RollbackError(f"{name} has no version {target}; `trainyard history {name}` lists what it has")
    if row.emptied:
        raise RollbackError(f"version {target} of {name} has no artifact any more: retention let go of it")


def _write_pin(
    connection: Connection,
    name: ModelName,
    version_id: int,
    position: Position,
    *,
    pinned: bool,
    actor: str,
    reason: str,
) -> None:
    values = {"pin_id": position.pin_id + 1, "version_id": version_id, "pinned": pinned}
    words = {"actor": actor, "reason": reason, "moment": position.moment}
    connection.execute(_PIN, {**values, **words, **_parameters(name)})
    advance(connection, "pin", "pin_id", position.pin_id + 1)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise RollbackError("a reason is asked for: who reads the log later wants to know why")


def _parameters(name: ModelName) -> dict[str, Any]:
    return {"portfolio": name.portfolio, "model": name.model}
