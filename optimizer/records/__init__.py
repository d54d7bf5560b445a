"""The typed parts of a healing: what its states share, and what its receipt keeps."""
