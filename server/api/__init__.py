"""The HTTP API: routes, schemas, middleware."""
