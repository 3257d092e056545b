"""The commands: they parse, call the workflows and print."""
