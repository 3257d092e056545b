"""Results as pages: one HTML file for each, which needs no network."""
