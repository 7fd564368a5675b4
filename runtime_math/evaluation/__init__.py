"""Judging policies on labelled scenarios: runs, metrics, tables, pictures, reports."""
