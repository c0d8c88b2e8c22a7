"""What people look at: pages from templates, and plots in them."""
