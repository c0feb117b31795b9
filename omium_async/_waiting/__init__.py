"""Waiting for executions, one or many."""
