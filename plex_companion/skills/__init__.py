"""Skills: instructions for a model, one Markdown file each, for tasks that take several tools."""
