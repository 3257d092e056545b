"""Who trains what, and where: Optuna suggests, executors train packs."""
