"""Corpus -> tokens on disk -> batches, each a pure function of (seed, step)."""
