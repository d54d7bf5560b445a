"""The routes, a resource a file. They hold no SQL and build no graphs."""
