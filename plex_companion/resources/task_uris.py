"""The URIs under which changes of tasks are announced. They are no resources: a task is read with `tasks/get`."""

PREFIX = "task:"


def build_task_uri(identifier: str) -> str:
    """Return the URI of a task."""
    return PREFIX + identifier


def is_task_uri(uri: str) -> bool:
    """Return whether a URI is that of a task."""
    return uri.startswith(PREFIX)
