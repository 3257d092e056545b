"""A projection in the words of other trainers, and whether a trainer really took it."""
