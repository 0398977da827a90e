"""Balances as people see them: history, vouchers, rules of top-up, notifications."""
