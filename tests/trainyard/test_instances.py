from __future__ import annotations

import json

import pytest

from trainyard.instances import Prices, PricesError, UnknownInstanceTypeError, architecture, read_prices

OWN = {
    "region": "eu-west-1",
    "date": "2026-11-01",
    "instance_types": {
        "m7g.xlarge": {"vcpus": 4, "ec2_usd_per_hour": 0.182, "emr_usd_per_hour": 0.0408},
        "m7g.metal": {"vcpus": 64, "ec2_usd_per_hour": 2.9, "emr_usd_per_hour": 0.27},
    },
}


# as AWS lists them: the table computes them from their families
@pytest.mark.parametrize(
    ("name", "vcpus", "usd"),
    [
        ("m5.xlarge", 4, 0.192),
        ("m4.10xlarge", 40, 2.0),
        ("c5.18xlarge", 72, 3.06),
        ("c7g.medium", 1, 0.0363),
        ("m7g.16xlarge", 64, 2.6112),
        ("m7gd.large", 2, 0.1068),
        ("c7gd.12xlarge", 48, 2.1773),
        ("r7a.48xlarge", 192, 14.6064),
        ("r8g.24xlarge", 96, 5.65536),
        ("i3en.3xlarge", 12, 1.356),
        ("i4i.2xlarge", 8, 0.686),
        ("m7i-flex.8xlarge", 32, 1.53216),
    ],
)
def test_a_type_has_the_vcpus_and_the_price_that_aws_lists(name: str, vcpus: int, usd: float) -> None:
    found = Prices().instance_type(name)
    assert found.vcpus == vcpus
    assert found.ec2_usd_per_hour == pytest.approx(usd, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("t3.micro", 0.5),
        ("t3.medium", 2),
        ("m7g.medium", 2),
        ("m5.large", 4),
        ("m5.xlarge", 8),
        ("r5.4xlarge", 32),
        ("c5.18xlarge", 144),
        ("m7i.metal-24xl", 192),
        ("m5.metal", None),
    ],
)
def test_hours_are_normalized_as_aws_has_it(name: str, hours: float | None) -> None:
    assert Prices().normalized_hours_per_hour(name) == hours


def test_the_hours_of_a_size_that_tells_nothing_follow_its_vcpus() -> None:
    own = read_prices(json.dumps(OWN).encode(), place="prices.json")
    assert own.normalized_hours_per_hour("m7g.metal") == 128


def test_the_emr_charge_of_the_types_that_are_known_exactly() -> None:
    assert Prices().instance_type("m5.xlarge").emr_usd_per_hour == pytest.approx(0.048)
    assert Prices().instance_type("r5.xlarge").usd_per_hour == pytest.approx(0.252 + 0.063)


@pytest.mark.parametrize(
    "name", ["m5.metal", "m5.medium", "i4g.12xlarge", "m9x.xlarge", "t3.medium", "xlarge", ""]
)
def test_an_unknown_type_is_an_error_that_says_how_to_add_it(name: str) -> None:
    with pytest.raises(UnknownInstanceTypeError, match="trainyard_account") as error:
        Prices().instance_type(name)
    assert f'"{name}": {{"vcpus"' in str(error.value)


def test_the_account_s_own_types_come_before_the_table_and_beside_it() -> None:
    prices = read_prices(json.dumps(OWN).encode(), place="prices.json")
    assert prices.instance_type("m7g.xlarge").ec2_usd_per_hour == 0.182
    assert prices.instance_type("m7g.metal").vcpus == 64
    assert prices.instance_type("m5.xlarge").vcpus == 4
    assert prices.region == "eu-west-1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "Invalid JSON"),
        (
            json.dumps({**OWN, "instance_types": {"m7g.xlarge": {"vcpus": 4}}}),
            "instance_types.m7g.xlarge.ec2_usd_per_hour",
        ),
        (json.dumps({**OWN, "currency": "EUR"}), "currency"),
    ],
)
def test_a_mistaken_prices_file_names_the_place(content: str, said: str) -> None:
    with pytest.raises(PricesError, match=r"s3://bucket/prices\.json") as error:
        read_prices(content.encode(), place="s3://bucket/prices.json")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m7g.xlarge", "arm64"),
        ("c7gn.xlarge", "arm64"),
        ("a1.large", "arm64"),
        ("im4gn.large", "arm64"),
        ("m5.xlarge", "x86_64"),
        ("m7i-flex.large", "x86_64"),
        ("r7a.medium", "x86_64"),
        ("g5.xlarge", "x86_64"),
        ("g5g.xlarge", "arm64"),
    ],
)
def test_graviton_is_told_from_the_rest(name: str, kind: str) -> None:
    assert architecture(name) == kind
