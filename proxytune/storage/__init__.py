"""Optuna's storage: the truth about studies and trials, and who may change it."""
