"""Keystone as identity. Imported with ``[api] auth_strategy = keystone`` alone: what it needs is large."""
