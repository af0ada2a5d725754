"""Tests of the nodes: plain Python, no database.

Each node's test file names ``SAMPLES``, settings that are right; ``test_contract.py`` tries them all.
"""
