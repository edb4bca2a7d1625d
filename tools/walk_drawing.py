"""Draw the walk of one clip."""


def drawing() -> str:
    """Nothing yet."""
    return ""
