"""Processes that never outlive their parent: started under a guard, ended as a whole group.

A guarded child runs in a session of its own under a small guard. The guard holds the read end of a pipe whose
write end only this process has: when this process is gone, however it went, the pipe ends and the guard ends
the child's whole group.
"""
