"""Webhooks for ended runs: which URLs are allowed, signatures, delivery with retries."""
