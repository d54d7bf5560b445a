"""The service: HTTP API, command line, execution of runs, metrics. No other package imports it."""
