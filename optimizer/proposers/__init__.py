"""Who writes candidates: our writer, or another loop around it, under the same gate and budget."""
