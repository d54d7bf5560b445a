"""The states of a healing, one a file: async (state, runtime) -> partial state."""
