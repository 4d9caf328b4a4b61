"""The commands: each parses, calls one function below, prints."""
