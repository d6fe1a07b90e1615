"""Alerts: rules, their evaluation, the ledger and the back-test."""
