"""A module is imported inside a test."""


def test_it() -> None:
    """Imports late."""
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0)
