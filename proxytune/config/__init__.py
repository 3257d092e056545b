"""What users write, as validated types; mistakes are reported in words."""
