"""From a study's trials to one point: surface, candidates, race, interval, edges."""
