"""One publish in a process of its own: its seconds by part, and the most memory it held.

python -m benchmarks.publish.one_publish APP_URL ANALYTICS_URL FOLDER MODELS
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.publish.folders import FolderS3
from benchmarks.publish.run_data import DAY, trainings
from trainyard.databases import engine
from trainyard.publishing import publish_run


def main(app_url: str, analytics_url: str, folder: str, models: int) -> None:
    app, analytics = engine(app_url), engine(analytics_url)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    report = publish_run(
        app=app,
        analytics=analytics,
        s3=FolderS3(Path(folder)),
        trainings=trainings(models),
        dag_id="bench",
        run_id="run",
        data_date=DAY,
        portfolio="bench",
        activate=True,
    )
    seconds = time.perf_counter() - start
    statuses = {outcome.status for outcome in report.outcomes}
    if statuses != {"activated"}:
        raise SystemExit(f"not all were activated: {statuses}, {report.outcomes[0].sentence}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "seconds": seconds,
        "read_seconds": report.seconds.read,
        "switch_seconds": report.seconds.switch,
        "analytics_seconds": report.seconds.analytics,
        "start_mb": before / 1024,
        "peak_mb": peak / 1024,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
