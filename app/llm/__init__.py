"""Model calls: the client, its errors, what it used, and untrusted text in prompts."""
