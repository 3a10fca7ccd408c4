"""The verbs of ci-tools."""


def main() -> int:
    """Run."""
    return 0
