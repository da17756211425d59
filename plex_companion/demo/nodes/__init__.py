"""Things of the household as elements of an answer."""
