"""The implementations of the commands; `server/cli/` declares them with their options."""
