"""Tags of MLflow's runs, by which they are found."""

TRIAL, STATE, KIND = "proxytune.trial", "proxytune.state", "proxytune.kind"
"""KIND is study, trial, confirmation or transfer; or what a report is of."""
CHOSEN = "proxytune.chosen"
"""`true` of the chosen trial's run alone; of a point between trials, of its runs on fresh
seeds."""
OUTCOME = "proxytune.outcome"
"""Of a study's run: a hash of the outcome that is recorded there."""
REASON = "proxytune.reason"
"""Of a trial that failed: why."""
