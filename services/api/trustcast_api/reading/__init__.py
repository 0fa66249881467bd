"""What clients send is read in a process of its own.

Python runs one thread at a time, so a body that takes long to read made everybody wait; and whoever finds a hole in a
parser finds themselves in a process that has no database, no token and no other client's request. It lives on a pipe:
`readings` says what can be asked of it, `wire` how, `reader` is the api's end and `__main__` the other one.
"""
