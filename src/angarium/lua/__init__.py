"""Policy files in Lua: the same configuration and the same handlers, said in another language.

Needs the extra `lua`. Only `policy.program` knows the name of this package, and loads it for `.lua` files.
"""
