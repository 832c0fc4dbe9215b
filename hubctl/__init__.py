"""The command line for people: `python -m hubctl submit | watch | get | list | cancel | redrive | dlq | story`."""
