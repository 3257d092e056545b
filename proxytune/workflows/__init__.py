"""What the commands do: the one room that knows every other."""
