"""Text algorithms: sentences, similarity and diffs."""
