"""The services of single roles: worker and evaluator."""
