"""The coordinate check: do activations, weights and updates scale as the theory says?"""
