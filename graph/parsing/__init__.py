"""Reading model answers and Python expressions."""
