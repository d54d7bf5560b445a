"""The service: HTTP, command line, keys, queue, metrics. Imports everything; nobody imports it."""
