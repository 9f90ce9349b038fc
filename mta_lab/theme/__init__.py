"""Give all figures and pages one look."""
