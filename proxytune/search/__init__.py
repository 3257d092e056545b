"""A study on Optuna: what is asked of it, and what it is told."""
