"""Packs on a Ray cluster, scheduled by Ray Tune."""
