"""Prints the requirements of the extra `test`, as the installed package's metadata has them, for pip."""
from importlib.metadata import requires

wanted = [r.partition(";") for r in requires("sparse-runtime")]
print(*(name.replace(" ", "") for name, _, extra in wanted if not extra or '"test"' in extra))
