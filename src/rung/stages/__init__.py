"""The steps of a build, each taking values and returning a new one; pipeline.py alone knows their order."""
