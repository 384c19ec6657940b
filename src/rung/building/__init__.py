"""The steps of a build, each taking values and returning a new one; workflows/build.py alone knows their order."""
