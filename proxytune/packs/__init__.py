"""What moves between the rooms: packs, evaluations and trials, and the ports they go through."""
