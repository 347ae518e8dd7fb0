"""The API by which screens and scripts drive a host; on the Unix socket only."""
