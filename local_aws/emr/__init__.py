"""The EMR half: values, the state machine, its file store and the JSON API in front of it."""
