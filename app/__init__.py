"""What a healable application is made of: models, verdicts, errors; nothing of one application."""
