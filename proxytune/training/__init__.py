"""Trains one pack; knows neither Ray nor Optuna."""
