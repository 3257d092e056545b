"""What users write, as validated types; mistakes are told in words."""
