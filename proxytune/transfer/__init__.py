"""From a study's trials to a target's settings, and the check that they hold."""
