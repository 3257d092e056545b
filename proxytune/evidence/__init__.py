"""Evidence: does the optimal base hyperparameter stay put along an axis?"""
