"""What the commands do, a family a file; `server/cli/` declares them with their options."""
