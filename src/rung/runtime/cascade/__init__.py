"""When a model of a cascade hands a row on to the next one."""
