"""What a source looks like before anything is trained: column types, roles, associations."""
