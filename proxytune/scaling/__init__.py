"""The scaling rules and what follows from them; pure Python, no torch."""
