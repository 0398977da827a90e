"""Rate decks: a CSV file becomes columns, and every row of it is accounted for."""
