"""HTTP: routes, schemas, middleware."""
