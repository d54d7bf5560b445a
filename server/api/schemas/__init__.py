"""The bodies that cross the wire: what is accepted, and what is answered."""
