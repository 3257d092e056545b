"""Model files of other programs as targets: their shape, and what is not modelled of them."""
