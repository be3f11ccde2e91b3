"""What Molecule's verify step runs: pytest looks at the hosts of a scenario, one folder a scenario.

The modules of a folder run in the order of their numbers, because later ones
change the hosts. Run by itself, against hosts that have been converged:
``PORTHOLE_HOSTS_NET=200 .venv/bin/python -m pytest tests/molecule/default``.
"""
