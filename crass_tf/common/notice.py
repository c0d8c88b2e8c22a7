"""What everything that the package writes for people says of itself."""

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."
