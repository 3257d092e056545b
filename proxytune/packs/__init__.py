"""The values that rooms exchange (packs, evaluations, trials) and the interfaces between them."""
