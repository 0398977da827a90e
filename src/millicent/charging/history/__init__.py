"""What readers of the journal make of it for people: statement lines, ledger entries, notifications."""
