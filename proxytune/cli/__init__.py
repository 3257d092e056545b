"""The commands: they parse, call the pipeline and print."""
