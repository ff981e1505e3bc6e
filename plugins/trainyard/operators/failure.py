"""What the Airflow log says of a training that failed: cause, EMR's words, the ends of its logs, places."""

from __future__ import annotations

from collections.abc import Sequence

from trainyard.clusters import Failure
from trainyard.driver_log import LogEnd, Logs, cluster_logs
from trainyard.ledger import Attempt


def failure_text(failure: Failure, emr_words: str, *, logs: Logs, log_uri: str, attempt: Attempt) -> str:
    """The text of the task's error."""
    retried = "a fresh cluster may do better" if failure.retry else "a fresh cluster would not mend it"
    lines = [f"{failure.code}: {failure.sentence}", f"attempt {attempt.attempt}; {retried}"]
    if emr_words:
        lines.append(f"EMR: {emr_words}")
    lines.append(f"results: {attempt.output_uri}")
    place = cluster_logs(log_uri, str(attempt.cluster_id))
    if logs.driver is None and logs.step is None:
        lines.append(
            f"logs: {place} (none has come yet; EMR brings them within minutes of the cluster's end)"
        )
        return "\n".join(lines)
    lines.append(f"logs: {place}")
    if logs.driver is not None:
        lines += _quoted("the end of", logs.driver, logs.driver.lines)
        # the driver's own end says more than spark-submit's, but for what YARN did to the driver
        if logs.step is not None and logs.step.diagnostics:
            lines += _quoted("YARN, by", logs.step, logs.step.diagnostics)
    elif logs.step is not None:
        lines += _quoted("the end of", logs.step, logs.step.lines)
    return "\n".join(lines)


def _quoted(what: str, log: LogEnd, lines: Sequence[str]) -> list[str]:
    return [f"{what} {log.uri}:", *(f"    {line}" for line in lines)]
