"""Studies on Optuna: asking for trials, and telling results."""
