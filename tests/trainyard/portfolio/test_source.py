"""YAML's own traps: what is read as what, and what is refused with its line."""

from __future__ import annotations

from datetime import date

import pytest

from trainyard.portfolio.construct import YamlSyntaxError
from trainyard.portfolio.source import read_source

SCALARS = [
    ("1e-6", 1e-6),
    ("1.5", 1.5),
    ("-3", -3),
    ("012", "012"),
    ("1:30", "1:30"),
    ("0x10", "0x10"),
    ("no", "no"),
    ("Yes", "Yes"),
    ("true", True),
    ("False", False),
    ("~", None),
    ("", None),
    ("'5'", "5"),
    ("2026-11-01", date(2026, 11, 1)),
    ("2026-11-31", "2026-11-31"),
    ("2026-11-01T02:00:00Z", "2026-11-01T02:00:00Z"),
    (".inf", ".inf"),
    ("0 2 * * *", "0 2 * * *"),
    ("emr-7.13.0", "emr-7.13.0"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_a_scalar_is_read_as_editors_read_it(text, value):
    read = read_source(f"x: {text}\n".encode()).values["x"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_whatever_yaml_takes_them_for():
    assert read_source(b"on: 1\n-1: 2\n1.0: 3\nnull: 4\n").values == {"on": 1, "-1": 2, "1.0": 3, "null": 4}


def test_two_models_of_one_name_are_told_with_both_lines(mistakes, smallest):
    assert mistakes(smallest + "    retries: 1\n  hotels:\n") == [
        "small.yaml:24: model hotels: stands twice, in lines 22 and 24; one of the two"
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("<<: {retries: 1}", "model hotels, <<: is no field; a whole value as an alias, or defaults"),
        ("cluster: !large {}", "model hotels, cluster: has the YAML tag !large; a value without a tag"),
        ("retries: !!python/name:os.system x", "has the YAML tag tag:yaml.org,2002:python/name:os.system"),
        ("cluster: &c {core: *c}", "model hotels, cluster.core: is an alias of what it stands in;"),
        ("? [a, b]\n    : 1", "model hotels: has a key that is no plain text; one word before each colon"),
    ],
)
def test_what_yaml_can_and_a_portfolio_must_not_is_refused(mistakes, smallest, line, told):
    found = mistakes(f"{smallest}    {line}\n")
    assert told in found[0]
    assert found[0].startswith("small.yaml:23: ")


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"a: [1\nb: 2\n", 2, "did not find expected ',' or ']'"),
        (b"a: 1\n\tb: 1\n", 2, "tab|token"),
        (b"a: 1\n--- \nb: 2\n", 2, "another document"),
        (b"a: 1\nb: *c\n", 2, "undefined alias"),
        (b"a: 1\nb: \xff\n", 2, "no YAML"),
        (b"a: 1\nb: \x01\n", 2, "not allowed"),
    ],
    ids=["open list", "tab", "two documents", "alias of nothing", "no UTF-8", "control character"],
)
def test_a_syntax_error_names_its_line(content, line, words):
    with pytest.raises(YamlSyntaxError, match=words) as caught:
        read_source(content)
    assert caught.value.finding.line == line


@pytest.mark.parametrize("depth", [60, 3_000])
def test_a_file_nested_out_of_all_reason_is_refused(mistakes, depth):
    assert mistakes("a: " + "[" * depth + "]" * depth) == [
        "small.yaml:1: portfolio: is nested more than 50 deep; the fields of a portfolio"
    ]


def test_aliases_of_aliases_do_not_fill_the_memory(mistakes):
    laughs = "a0: &a0 [x]\n"
    for level in range(1, 9):
        laughs += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    assert mistakes(laughs) == [
        "small.yaml:1: portfolio: stands for more than 1,000,000 values; fewer aliases of aliases"
    ]


@pytest.mark.parametrize(
    ("text", "told"), [("", "is empty"), ("# nothing\n", "is empty"), ("- 1\n", "is no mapping")]
)
def test_a_file_without_fields_is_told(mistakes, text, told):
    assert mistakes(text) == [f"small.yaml:1: portfolio: {told}; fields such as portfolio: and models:"]
