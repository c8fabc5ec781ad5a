"""A chat application whose agent works with the MCP tools that the gateway shows to its caller.

It has no table of users and no permissions: the caller's own token goes to the gateway, which
decides, and the tool `whoami` tells who that is.
"""
