"""``python -m trainyard.cli``: the command line tool where trainyard lies on the path and is not installed."""

from trainyard.cli import main

main()
