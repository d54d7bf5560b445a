"""The states of a healing, one function each: input and output; policy decides."""
