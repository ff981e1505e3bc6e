"""``trainyard rollback``, ``pin``, ``unpin`` and ``live``: what they print, and that a mistake is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from trainyard.cli import app
from trainyard.databases import engine, upgrade_app_db

Run = Callable[..., Result]


@pytest.fixture
def served(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Two versions of demo.hotels that served one after the other."""
    database = engine(database_url)
    upgrade_app_db(database)
    monkeypatch.setenv("TRAINYARD_APP_DB_URL", database_url)
    version = (
        "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
        " artifact_sha256, feature_space, num_features, threshold, lineage) VALUES ('demo', 'hotels', :day,"
        " repeat(:letter, 16), 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5, '{}')"
    )
    activation = (
        "INSERT INTO serving.activation"
        " (version_id, portfolio, model, actor, reason, replaced_version_id, activated_at)"
        " VALUES (:version, 'demo', 'hotels', 'a run', 'newer data', :replaced, :at)"
    )
    with database.begin() as connection:
        for day, letter in (("2026-11-20", "a"), ("2026-11-21", "b")):
            connection.execute(text(version), {"day": day, "letter": letter})
        for number, replaced, at in ((1, None, "2026-11-21T02:00Z"), (2, 1, "2026-11-22T02:00Z")):
            connection.execute(text(activation), {"version": number, "replaced": replaced, "at": at})
    yield database
    database.dispose()


@pytest.fixture
def run(served: Engine) -> Run:
    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def live(run: Run, *words: str) -> list[tuple[int, bool]]:
    return [(row["version_id"], row["pinned"]) for row in json.loads(run("live", "--json", *words).stdout)]


def test_a_rollback_tells_what_serves_and_how_to_end_the_pin(run: Run) -> None:
    result = run("rollback", "hotels", "--reason", "calls too often")
    assert (result.exit_code, result.stdout) == (
        0,
        "demo.hotels: version 1 serves instead of version 2, pinned: no run replaces it until "
        "`trainyard unpin demo.hotels`\n",
    )
    assert live(run) == [(1, True)]
    events = json.loads(run("history", "demo.hotels", "--json").stdout)
    assert [(event["event"], event["reason"]) for event in events[:2]] == [
        ("pinned", "calls too often"),
        ("activated", "calls too often"),
    ]
    assert "@" in events[0]["actor"]
    run("unpin", "hotels", "--reason", "mended", "--actor", "bob")
    assert live(run) == [(1, False)]
    assert run("rollback", "hotels", "--to", "2", "--reason", "mended").exit_code == 0
    assert live(run) == [(2, True)]


def test_a_first_version_that_was_held_back_serves_by_a_persons_word(run: Run, served: Engine) -> None:
    with served.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
                " artifact_sha256, feature_space, num_features, threshold, lineage) VALUES ('demo', 'flights',"
                " '2026-11-21', repeat('f', 16), 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5, '{}')"
            )
        )
    unnamed = run("rollback", "flights", "--reason", "good enough")
    assert unnamed.exit_code == 1
    assert (
        "no version of demo.flights serves: `trainyard rollback demo.flights --to VERSION`" in unnamed.output
    )
    result = run("rollback", "flights", "--to", "3", "--reason", "good enough")
    assert (result.exit_code, result.stdout) == (
        0,
        "demo.flights: version 3 serves instead of nothing, pinned: no run replaces it until "
        "`trainyard unpin demo.flights`\n",
    )
    assert live(run) == [(3, True), (2, False)]


def test_a_pin_keeps_what_serves(run: Run) -> None:
    result = run("pin", "demo.hotels", "--reason", "holidays")
    assert result.stdout.startswith("demo.hotels: version 2 serves, pinned:")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("rollback", "hotel", "--reason", "x"), "model hotel has no version; nearest: hotels"),
        (("rollback", "hotels", "--to", "9", "--reason", "x"), "demo.hotels has no version 9; "),
        (("unpin", "hotels", "--reason", "x"), "demo.hotels is not pinned"),
        (("rollback", "hotels", "--reason", " "), "a reason is asked for"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"trainyard: {sentence}")
    assert result.stderr.count("\n") == 1
    assert live(run) == [(2, False)]


def test_a_rollback_without_a_reason_is_not_begun(run: Run) -> None:
    assert run("rollback", "hotels").exit_code == 2


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-11-21T02:00Z", 1),
        ("2026-11-22T01:59:59Z", 1),
        ("2026-11-22T03:00+01:00", 2),
        ("2026-11-22T03:00", 2),
        ("2026-11-22", 1),
    ],
)
def test_what_served_at_a_time_is_shown(run: Run, at: str, version: int) -> None:
    assert live(run, "--at", at) == [(version, False)]


def test_before_anything_served_and_at_no_time(run: Run) -> None:
    assert run("live", "--at", "2026-11-20").stdout == "nothing served at 2026-11-20\n"
    result = run("live", "--at", "yesterday")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--at is 'yesterday'; expected a time such as" in result.stderr
