"""The command ``spinalprep-tools``: networks, cohorts on a cluster, checks, exports."""
