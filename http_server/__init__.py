"""The programs' and browsers' door: REST under `/api` and the page viewer under `/view`."""
