"""Words with tags: where they are read from, and how words become numbers."""
