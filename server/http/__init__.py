"""Sockets, connections and the HTTP server."""
