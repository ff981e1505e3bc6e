"""Trains every model of a portfolio every night, each on an EMR cluster of its own, and publishes what deserves it."""
