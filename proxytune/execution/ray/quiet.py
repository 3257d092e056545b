"""Silences Ray's messages. To be called before Ray is imported."""

import logging
import os

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # otherwise Tune prints tables even at verbosity 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # so that relative paths in a study stay valid
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # no native stack dump on SIGTERM
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process per job; lost workers come again
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",  # for a dashboard that is not there
    "RAY_TRAIN_V2_ENABLED": "1",  # by default only in newer versions
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # stop.py has ours
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # Packs keeps to the slots; by default one at a time
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard files nobody reads
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def hush() -> None:
    """Sets the variables that the user has not set, and Ray's log level."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
