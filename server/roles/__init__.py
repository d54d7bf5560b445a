"""The processes of the roles, and the services of worker and evaluator."""
