"""Where packs train: this process, or a Ray cluster."""
