"""The pages people read before and after a build: plan.html and report.html, each one file without a link out."""
