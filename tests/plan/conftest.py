from hypothesis import settings

# The first call of a test pays for imports and compiled formulas, so time limits would be chance.
settings.register_profile("plan", deadline=None, derandomize=True)
settings.load_profile("plan")
