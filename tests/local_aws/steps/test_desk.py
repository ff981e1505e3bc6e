"""The folders behind `s3://`: what they show, what they bring back, and that no step sees another's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from local_aws.s3 import ForeignEndpointError, own_client
from local_aws.steps.desk import Desk


@pytest.fixture
def client(aws: Any) -> Any:
    return own_client(aws.url)


@pytest.fixture
def desk(client: Any, tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk", client)


def test_what_a_step_writes_overwrites_and_deletes_reaches_s3(aws: Any, bucket: str, desk: Desk) -> None:
    for key in ("kept", "overwritten", "deleted", "folder/kept"):
        aws.put(bucket, key, "before")
    untouched = aws.s3.head_object(Bucket=bucket, Key="kept")["LastModified"]
    files = desk.fill().buckets[bucket]
    (files / "overwritten").write_text("after!")
    (files / "deleted").unlink()
    (files / "new/model").mkdir(parents=True)
    (files / "new/model/part-0").write_text("new")
    (files / "new/_temporary/0").mkdir(parents=True)
    (files / "new/_temporary/0/part-0").write_text("never committed")
    (files / "new/.part-0.crc").write_text("a local file system's own")
    (files / "still-open").write_text("half")
    carried = desk.carry_back(unfinished=frozenset({files / "still-open"}))
    assert (carried.written, carried.deleted) == (2, 1)
    assert aws.keys(bucket) == ["folder/kept", "kept", "new/model/part-0", "overwritten"]
    assert aws.text(bucket, "overwritten") == "after!"
    assert aws.s3.head_object(Bucket=bucket, Key="kept")["LastModified"] == untouched


def test_a_file_overwritten_in_place_with_the_same_size_is_noticed(aws: Any, bucket: str, desk: Desk) -> None:
    aws.put(bucket, "a", "1")
    file = desk.fill().buckets[bucket] / "a"
    with file.open("r+") as opened:
        opened.write("2")
    os.utime(file, ns=(1, 1))
    assert desk.carry_back().written == 1
    assert aws.text(bucket, "a") == "2"


def test_only_what_changed_is_fetched_again(aws: Any, bucket: str, desk: Desk) -> None:
    for key in ("a", "b", "c"):
        aws.put(bucket, key, "1")
    desk.fill()
    assert desk.fill().fetched == 0
    aws.put(bucket, "a", "2")
    aws.s3.delete_object(Bucket=bucket, Key="b")
    filled = desk.fill()
    files = filled.buckets[bucket]
    assert filled.fetched == 1
    assert sorted(path.name for path in files.iterdir()) == ["a", "c"]
    assert (files / "a").read_text() == "2"


def test_what_a_killed_step_left_behind_is_cleared_away_and_never_carried_back(
    aws: Any, bucket: str, client: Any, tmp_path: Path
) -> None:
    aws.put(bucket, "a", "1")
    files = Desk(tmp_path, client).fill().buckets[bucket]
    (files / "a").write_text("scribbled over")
    (files / "new").write_text("never finished")
    # another life of the server sits down at the same desk
    again = Desk(tmp_path, client)
    again.fill()
    assert (files / "a").read_text() == "1"
    assert not (files / "new").exists()
    assert again.carry_back().written == 0
    assert aws.keys(bucket) == ["a"]


def test_steps_at_two_desks_do_not_see_each_others_files(
    aws: Any, bucket: str, client: Any, tmp_path: Path
) -> None:
    aws.put(bucket, "shared", "before")
    first, second = Desk(tmp_path / "1", client), Desk(tmp_path / "2", client)
    mine, theirs = first.fill().buckets[bucket], second.fill().buckets[bucket]
    with (mine / "shared").open("r+") as file:
        file.write("AFTER!")
    assert (theirs / "shared").read_text() == "before"
    assert second.carry_back().written == 0
    first.carry_back()
    assert aws.text(bucket, "shared") == "AFTER!"


def test_the_last_file_written_is_the_last_to_be_seen(
    aws: Any, bucket: str, client: Any, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, client)
    files = desk.fill().buckets[bucket]
    for second, name in enumerate(("z", "model", "a-manifest"), start=1):
        (files / name).write_text(name)
        os.utime(files / name, (second, second))
    sent: list[str] = []
    client.meta.events.register(
        "before-call.s3.PutObject", lambda params, **_: sent.append(params["url_path"].rpartition("/")[2])
    )
    desk.carry_back()
    assert sent == ["z", "model", "a-manifest"]


def test_keys_that_no_file_can_stand_for_are_left_out_by_name(aws: Any, bucket: str, desk: Desk) -> None:
    for key in ("a", "folder/", "x//y"):
        aws.put(bucket, key, "1")
    filled = desk.fill()
    left_out = [name.key for name in filled.left_out if name.bucket == bucket]
    assert left_out == ["folder/", "x//y"]
    assert desk.carry_back().deleted == 0


def test_an_object_beside_a_folder_of_its_name_hides_nothing_below_it(
    aws: Any, bucket: str, desk: Desk
) -> None:
    aws.put(bucket, "data", "")
    desk.fill()
    for key in ("data/part-0", "data/deeper", "data/deeper/part-1", "lone", "lone/"):
        aws.put(bucket, key, "rows")
    filled = desk.fill()
    files = filled.buckets[bucket]
    shown = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    assert shown == ["data/deeper/part-1", "data/part-0", "lone"]
    assert [name.key for name in filled.left_out if name.bucket == bucket] == ["data", "data/deeper", "lone/"]
    assert desk.carry_back().deleted == 0
    assert aws.text(bucket, "data") == ""


def test_an_object_deleted_while_the_desk_is_filled_is_simply_not_there(
    aws: Any, bucket: str, client: Any, tmp_path: Path
) -> None:
    for key in ("a", "b"):
        aws.put(bucket, key, "1")

    def delete_the_other(**_: object) -> None:
        aws.s3.delete_object(Bucket=bucket, Key="b")

    client.meta.events.register("before-call.s3.GetObject", delete_the_other)
    files = Desk(tmp_path, client).fill().buckets[bucket]
    assert [path.name for path in files.iterdir()] == ["a"]


def test_our_client_speaks_to_our_endpoint_only(client: Any) -> None:
    client.meta.events.register_first(
        "before-send", lambda request, **_: setattr(request, "url", "https://s3.amazonaws.com/")
    )
    with pytest.raises(ForeignEndpointError, match=r"s3\.amazonaws\.com"):
        client.list_buckets()
