"""The prompts, in a tuple: questions that people ask often, with the shortest way to an answer."""
