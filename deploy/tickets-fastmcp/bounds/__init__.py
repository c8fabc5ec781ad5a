"""What keeps one client from stopping the others.

All but `whole` is the same, byte for byte, as in the agent: each service is a folder of its own
that can be copied alone. A test of the agent compares them.
"""
