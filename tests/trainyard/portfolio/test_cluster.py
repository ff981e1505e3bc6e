"""Settings of a cluster that contradict each other are told by the field that must give way."""

from __future__ import annotations

import pytest

LARGE = "{instance_type: m7g.2xlarge, count: 2"
CONTRADICTIONS = [
    (f"core: {LARGE}, alternatives: [m6g.2xlarge]}}", "cluster.instances", "fleets, since core asks for"),
    (
        f"task: {LARGE}, on_demand_count: 1, market: SPOT}}",
        "cluster.instances",
        "fleets, since task asks for",
    ),
    (
        f"core: {LARGE}, market: SPOT, spot: {{timeout_minutes: 5}}}}",
        "cluster.instances",
        "fleets, since core asks for",
    ),
    (
        "primary: {instance_type: m7g.large, on_demand_allocation_strategy: prioritized}",
        "cluster.instances",
        "fleets, since primary asks for",
    ),
    (
        f"instances: fleets, core: {LARGE}, spot: {{timeout_action: TERMINATE_CLUSTER}}}}",
        "cluster.core.spot",
        "null, since market is ON_DEMAND",
    ),
    ("release: emr-6.15.0", "cluster.python", "an archive with Python 3.9 or later, which the job needs"),
    (
        "release: emr-5.36.0, python: {wheels: s3://bucket/wheels/}",
        "cluster.python",
        "an archive with Python 3.9 or later, which the job needs and emr-5.36.0 does not have",
    ),
    (
        f"core: {LARGE}, alternatives: [m7g.2xlarge]}}",
        "cluster.core.alternatives",
        "types other than instance_type",
    ),
    (
        f"core: {LARGE}, alternatives: [m6g.large, m6g.large]}}",
        "cluster.core.alternatives",
        "each instance type once",
    ),
    (
        f"core: {LARGE}, weights: {{m5.large: 2}}}}",
        "cluster.core.weights",
        "types of this fleet, m7g.2xlarge, unlike m5",
    ),
    (f"core: {LARGE}, on_demand_count: 1}}", "cluster.core.on_demand_count", "0, since market is ON_DEMAND"),
    (
        f"core: {LARGE}, market: SPOT, on_demand_count: 3}}",
        "cluster.core.on_demand_count",
        "at most 2, the count",
    ),
    (
        f"core: {LARGE}, ebs: {{size_gb: 10, volume_type: io1}}}}",
        "cluster.core.ebs.iops",
        "which io1 volumes need",
    ),
    (
        f"core: {LARGE}, ebs: {{size_gb: 10, volume_type: st1, iops: 500}}}}",
        "cluster.core.ebs.iops",
        "null, since st1",
    ),
    (
        f"core: {LARGE}, ebs: {{size_gb: 10, volume_type: gp2, throughput_mb: 200}}}}",
        "cluster.core.ebs.throughput_mb",
        "null",
    ),
    (
        "subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]",
        "cluster.subnet_ids",
        "one subnet, since only fleets",
    ),
    (
        "managed_scaling: {minimum: 3, maximum: 2}",
        "cluster.managed_scaling.maximum",
        "at least 3, the minimum",
    ),
    (
        "managed_scaling: {minimum: 1, maximum: 4, maximum_core: 5}",
        "cluster.managed_scaling.maximum_core",
        "at most 4",
    ),
    (
        f"core: {LARGE}}}, managed_scaling: {{minimum: 1, maximum: 1}}",
        "cluster.managed_scaling",
        "a maximum of at least 2",
    ),
    (
        "security_groups: {primary: sg-0123456789abcdef0}",
        "cluster.security_groups.workers",
        "a group where primary has one",
    ),
    (
        "python: {archive: s3://bucket/a.tar.gz, wheels: s3://bucket/w/}",
        "cluster.python.wheels",
        "null, since archive is given",
    ),
    ("python: {wheels: s3://bucket/w}", "cluster.python.wheels", "a folder, which ends in /"),
    (
        "python: {archive: 's3://bucket/{arch}.tar.gz'}",
        "cluster.python.archive",
        "without placeholders but {release}",
    ),
    (
        "core: {instance_type: m5.large, count: 1}, python: {wheels: s3://bucket/w/}",
        "cluster.python",
        "of two architectures",
    ),
    ("deadline_minutes: 100, maximum_age_minutes: 129", "cluster.maximum_age_minutes", "at least 130"),
    ("configurations: {spark-defaults: {spark.x: 1}}", "cluster.configurations", "other than spark-defaults"),
    ("tags: {team: 'a,b'}", "cluster.tags.team", "at most 256 letters, digits"),
]


@pytest.mark.parametrize(("own", "field", "accepted"), CONTRADICTIONS)
def test_a_contradiction_is_told_by_the_field_that_must_give_way(mistakes, smallest, own, field, accepted):
    found = mistakes(f"{smallest}    cluster: {{{own}}}\n")
    assert any(f"model hotels, {field}: " in line and accepted in line for line in found), found


ACCEPTED = [
    f"instances: fleets, core: {LARGE}, alternatives: [m6g.2xlarge, m7g.4xlarge], weights: {{m7g.4xlarge: 2}}}}",
    "instances: fleets, subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]",
    "python: {wheels: 's3://bucket/wheels/{release}/{architecture}/'}",
    "bootstrap_actions: {mount: {path: s3://bucket/mount.sh, args: ['1']}}",
    "configurations: {yarn-site: {yarn.nodemanager.vmem-check-enabled: false}}",
    "connection: aws_of_the_other_account",
]


@pytest.mark.parametrize("own", ACCEPTED)
def test_what_emr_offers_is_accepted(load, smallest, own):
    assert load(f"{smallest}    cluster: {{{own}}}\n")


def test_values_of_other_classifications_are_handed_on_as_they_are_written(load, smallest):
    portfolio = load(f"{smallest}    cluster: {{configurations: {{yarn-site: {{a: 0.10, b: true}}}}}}\n")
    assert portfolio.models["hotels"].cluster.configurations == {"yarn-site": {"a": "0.10", "b": "true"}}


def test_a_model_may_turn_defaults_groups_into_fleets(load, smallest):
    own = "cluster: {instances: fleets, core: {alternatives: [m6g.2xlarge]}}"
    core = load(f"{smallest}    {own}\n").models["hotels"].cluster.core
    assert core.instance_types[1:] == ("m6g.2xlarge",)
    assert core.count >= 1
