"""What every room stands on: errors, files, progress, devices, places on this machine."""
