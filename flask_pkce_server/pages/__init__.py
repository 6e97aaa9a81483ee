"""Pages: the HTML that people see."""
