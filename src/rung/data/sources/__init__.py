"""Where rows come from: files, archives, patterns, downloads, databases, hubs."""
