"""Hugging Face's config.json."""
