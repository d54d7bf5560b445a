"""What the service tells Prometheus."""
