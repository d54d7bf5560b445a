"""What benchmarks and tests share: the service in one process, processes, a scripted model."""
