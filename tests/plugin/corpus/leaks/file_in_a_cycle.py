"""file in a cycle.

kind: file
outcome: error
"""


class Node:
    pass


def test_offender():
    node = Node()
    node.itself = node
    node.file = open(__file__)  # made here


def test_innocent():
    """An innocent neighbour."""
