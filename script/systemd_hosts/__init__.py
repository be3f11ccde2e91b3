"""Hosts with systemd on one machine: file trees of Debian, and systemd-nspawn containers that run on them.

Standard library only, so that it can be used before anything is installed.
Everything is kept below the checkout's ``.cache/systemd_hosts``; no file of the
machine itself is changed.
"""
