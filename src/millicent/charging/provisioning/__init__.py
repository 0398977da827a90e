"""What the shard should know of customers at an instant, as columns; and the commands that make it so."""
