"""Runs a command with a terminal as its stderr, and prints what it drew there with escapes made visible."""
import os
import pty
import subprocess
import sys

ours, theirs = pty.openpty()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
drawn = b""
while True:
    try:
        piece = os.read(ours, 4096)
    except OSError:  # What Linux says when the other end is closed.
        break
    if not piece:
        break
    drawn += piece
print(drawn.decode().replace("\r\n", "\n").replace("\r", "\n<start>").replace("\x1b[K", "<erase>"))
sys.exit(process.wait())
