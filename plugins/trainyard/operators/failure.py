"""What the Airflow log says of a training that failed: cause, EMR's words, end of the driver's log, places."""

from __future__ import annotations

from trainyard.clusters import Failure
from trainyard.driver_log import DriverLog, cluster_logs
from trainyard.ledger import Attempt


def failure_text(
    failure: Failure, emr_words: str, *, log: DriverLog | None, log_uri: str, attempt: Attempt
) -> str:
    """The text of the task's error."""
    retried = "a fresh cluster may do better" if failure.retry else "a fresh cluster would not mend it"
    lines = [f"{failure.code}: {failure.sentence}", f"attempt {attempt.attempt}; {retried}"]
    if emr_words:
        lines.append(f"EMR: {emr_words}")
    lines.append(f"results: {attempt.output_uri}")
    place = cluster_logs(log_uri, str(attempt.cluster_id))
    if log is None:
        lines.append(
            f"logs: {place} (none has come yet; EMR brings them within minutes of the cluster's end)"
        )
    else:
        lines += [f"logs: {place}", f"the end of {log.uri}:", *(f"    {line}" for line in log.lines)]
    return "\n".join(lines)
