"""Lets `python -m local_aws` start the server."""

from __future__ import annotations

import sys

from local_aws.cli import main

sys.exit(main())
