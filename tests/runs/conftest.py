"""Property tests here take the same examples every time and are never timed."""

from hypothesis import settings

settings.register_profile("runs", deadline=None, derandomize=True)
settings.load_profile("runs")
