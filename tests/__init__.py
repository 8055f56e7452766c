"""The same test files under pytest on CPython and under the small runner on MicroPython."""
