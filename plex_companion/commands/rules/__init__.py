"""The command `rules`: rules that a household writes, at the shell."""
