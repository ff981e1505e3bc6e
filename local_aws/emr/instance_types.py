"""What the name of an EC2 instance type says about its size."""

from __future__ import annotations

import re

# one m1.small hour is one normalized hour; the factor follows the size in the type's name
_SIZE_FACTORS = {"small": 1, "medium": 2, "large": 4, "xlarge": 8}


def normalization_factor(instance_type: str) -> int:
    """EMR's weight of an instance type: small 1, medium 2, large 4, xlarge 8, nxlarge 8n.

    0 where the type's name does not end with such a size.
    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_Cluster.html (NormalizedInstanceHours)
    """
    size = instance_type.rpartition(".")[2]
    if size in _SIZE_FACTORS:
        return _SIZE_FACTORS[size]
    multiple = re.fullmatch(r"(\d+)xlarge", size)
    return 8 * int(multiple[1]) if multiple else 0


def vcpus(instance_type: str) -> int | None:
    """Half of the weight, which is how EC2 sizes its families since the fourth generation; at least 1.

    None where the name tells no size (`m5.metal`).
    Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    factor = normalization_factor(instance_type)
    return max(1, factor // 2) if factor else None
