"""proxytune: tune on small GQA-μP proxies, train large."""

__version__ = "0.1.0"
