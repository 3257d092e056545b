"""Where finished trials go: MLflow and Parquet, behind one interface."""
