"""What trains a pack: the built-in trainer, or a program of the user's own."""
