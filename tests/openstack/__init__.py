"""OpenStack's own clients and services from PyPI, with the real service.

They have a virtual environment of their own, see :mod:`tests.openstack.environment`.
"""
