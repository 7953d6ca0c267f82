"""The page viewer: one document, opened at the cited passage, in a page that needs neither cookies nor a network."""
