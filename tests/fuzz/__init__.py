"""Fuzzing of what strangers talk to: ``python -m tests.fuzz CLIENT_MESSAGES|SERVER|FRAMES --inputs 1000000 --seed 7``.

targets      what is fed, and what has to hold whatever it is fed
dialogues    valid dialogues, from which inputs are made
client       one message of a VNC client, and what should become of it
mutation     how inputs are made of dialogues
running      the loop, with and without atheris
"""
