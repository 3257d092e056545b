"""The packed transformer, and the one place where the rules become tensors."""
