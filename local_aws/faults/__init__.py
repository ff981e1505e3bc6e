"""Faults on demand: what may go wrong, for whom and how often. docs/local-aws-faults.md shows each with an example."""
