"""Text algorithms: sentences, similarity, diffs."""
