"""What a study would cost, and how it is best cut: before anything trains."""
