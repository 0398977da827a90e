"""Programs of others as our peers: skipped, with the reason, where they are not installed."""
