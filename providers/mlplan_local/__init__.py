"""Units, jobs and traffic on this machine: processes, files and Envoy. The embedded default provider."""
