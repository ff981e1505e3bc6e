"""The kinds of text that a portfolio's fields accept, each with the sentence that errors and editors show.

The sentence stands in the JSON schema as ``patternErrorMessage``, which YAML editors know.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

SENTENCE = "patternErrorMessage"
REFUSED = "refused"  # type of an error whose message is itself what would be accepted
CONFLICT = "conflict"  # the same, of values that do not go together: what a model says may still settle it

CRON_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
# the ids of tasks that every portfolio's DAG has beside its models' task groups
RESERVED_MODEL_NAMES = ("approve", "freshness", "judge", "plan", "publish")
# the files beside the portfolios' in dags/
RESERVED_PORTFOLIO_NAMES = ("reaper", "rollback")

_SNAKE_CASE = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_PLAIN = r"[^/\s{}*?]"
_TEMPLATE_PART = r"([^/\s{}*?]|\{model\}|\{data_date\})"


class Value(BaseModel):
    """What all values of a portfolio share: they cannot change, and nothing unknown or converted gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def says(sentence: str) -> JsonDict:
    """The part of a field's schema that tells what the field accepts, where its type alone does not."""
    return {SENTENCE: sentence}


def keys(rules: JsonDict) -> JsonDict:
    """The part of a mapping's schema that tells what its keys accept, in one form for all."""
    return {"propertyNames": rules}


def refuse(accepted: str) -> PydanticCustomError:
    """The error of a rule that a schema cannot say; ``accepted`` ends the message of the mistake."""
    return PydanticCustomError(REFUSED, "{accepted}", {"accepted": accepted})


def conflict(accepted: str) -> PydanticCustomError:
    """The error of a value that does not go with another one of the same model."""
    return PydanticCustomError(CONFLICT, "{accepted}", {"accepted": accepted})


def missing(accepted: str) -> PydanticCustomError:
    """The error of a field that only what other fields say makes a required one."""
    return PydanticCustomError("missing", "{accepted}", {"accepted": accepted})


def _cron(expression: str) -> str:
    if expression in CRON_PRESETS:
        return expression
    # imported here: it costs as much as the rest of this package, and not every schedule needs it
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        # asked for a time, since an expression such as 0 0 30 2 * is well formed and never comes
        croniter(expression, datetime.now(timezone.utc)).get_next()
    except CroniterError as error:
        raise refuse(CRON_SENTENCE) from error
    if len(expression.split()) != 5:
        raise refuse(CRON_SENTENCE)
    return expression


def _time_zone(key: str) -> str:
    try:
        ZoneInfo(key)
    except (OSError, ValueError, KeyError) as error:
        raise refuse(_nearest_zone(key)) from error
    return key


def _nearest_zone(key: str) -> str:
    # both only for a mistake: listing the zones walks a folder
    from difflib import get_close_matches  # noqa: PLC0415
    from zoneinfo import available_timezones  # noqa: PLC0415

    lower = {zone.lower(): zone for zone in available_timezones()}
    near = get_close_matches(key.lower(), lower, n=1)
    return ZONE_SENTENCE + (f"; nearest: {lower[near[0]]}" if near else "")


def _not_reserved(*, reserved: tuple[str, ...], taken_by: str) -> AfterValidator:
    def check(name: str) -> str:
        if name in reserved:
            raise refuse(f"another name: {', '.join(reserved)} are taken by {taken_by}")
        return name

    return AfterValidator(check)


NAME_SENTENCE = "a snake_case name of at most 64 characters that starts with a letter"
CRON_SENTENCE = (
    f"a cron expression of five fields that comes some day, one of {', '.join(CRON_PRESETS)}, or null"
)
ZONE_SENTENCE = "a zone of the IANA time zone database such as Europe/Vienna"
TEMPLATE_SENTENCE = (
    "an S3 folder that ends in / below a bucket's root, or one object whose name has a dot, such as"
    " s3://bucket/features/{model}/{data_date}/train/, without placeholders but {model} and {data_date}"
)
CLUSTER_PATH_SENTENCE = (
    "an S3 location below a bucket's root such as s3://bucket/python/{release}/{architecture}/, without placeholders"
    " but {release} and {architecture}"
)
OBJECT_SENTENCE = "an S3 object such as s3://bucket/scripts/install.sh"
FOLDER_SENTENCE = "an S3 folder below a bucket's root such as s3://bucket/models"

_Name = Annotated[str, Field(max_length=64, pattern=_SNAKE_CASE, json_schema_extra=says(NAME_SENTENCE))]
PortfolioName = Annotated[
    _Name, _not_reserved(reserved=RESERVED_PORTFOLIO_NAMES, taken_by="files of the dags folder")
]
ModelName = Annotated[_Name, _not_reserved(reserved=RESERVED_MODEL_NAMES, taken_by="tasks of the DAG")]
Cron = Annotated[str, AfterValidator(_cron), Field(json_schema_extra=says(CRON_SENTENCE))]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(json_schema_extra=says(ZONE_SENTENCE))]
InputTemplate = Annotated[
    str,
    Field(
        pattern=rf"^{_BUCKET}(/{_TEMPLATE_PART}+)*/({_TEMPLATE_PART}+/|{_TEMPLATE_PART}+\.{_TEMPLATE_PART}+)$",
        json_schema_extra=says(TEMPLATE_SENTENCE),
    ),
]
S3Folder = Annotated[
    str, Field(pattern=rf"^{_BUCKET}(/{_PLAIN}+)+/?$", json_schema_extra=says(FOLDER_SENTENCE))
]
S3Object = Annotated[
    str, Field(pattern=rf"^{_BUCKET}(/{_PLAIN}+)+$", json_schema_extra=says(OBJECT_SENTENCE))
]
ClusterPath = Annotated[
    str,
    Field(
        pattern=rf"^{_BUCKET}(/([^/\s{{}}*?#]|\{{release\}}|\{{architecture\}})+)+/?$",
        json_schema_extra=says(CLUSTER_PATH_SENTENCE),
    ),
]
Text = Annotated[str, Field(pattern=r"\S", json_schema_extra=says("text that is not empty"))]
