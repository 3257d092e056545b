"""Ray without its chatter. To be called before Ray is imported.

Which of these is needed, and what else was tried: found by silencing one message after another.
"""

import logging
import os

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # otherwise tables are printed even at verbosity 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a study stay what they are
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # no native stack dump on SIGTERM
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard files nobody reads
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def hush() -> None:
    """Sets what silences Ray, unless the user has set it otherwise."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
