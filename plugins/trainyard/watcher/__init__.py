"""What waits without a worker: for a training's end, for a slot in the account, for late input, for a log.

All that wait for the same AWS connection share one poll of EMR, and one of S3.
"""

from trainyard.watcher.admission import AdmissionTrigger
from trainyard.watcher.input import InputTrigger
from trainyard.watcher.launched import ON_A_WORKER, WAIT, LaunchedTrigger
from trainyard.watcher.log import LogTrigger
from trainyard.watcher.pause import PauseTrigger
from trainyard.watcher.training import TrainingTrigger

__all__ = [
    "ON_A_WORKER",
    "WAIT",
    "AdmissionTrigger",
    "InputTrigger",
    "LaunchedTrigger",
    "LogTrigger",
    "PauseTrigger",
    "TrainingTrigger",
]
