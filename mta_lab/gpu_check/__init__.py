"""Check a machine with a GPU in minutes: each stage is a program that says what it found, or fails.

On a machine without one the stages can be run small on the CPU, to know that they work.
"""
