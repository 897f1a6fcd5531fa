"""What is not collected: modules that cannot be imported without an optional package."""

from importlib.util import find_spec

collect_ignore = (
    [] if find_spec("torch") else ["src/isoloss/sweep/model.py", "src/isoloss/sweep/train.py"]
)
