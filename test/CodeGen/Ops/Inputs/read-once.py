"""read-once.py: what `weights-read` printed, in words."""

import re
import sys

read, stored, largest, beside = map(int, re.findall(r"\d+", sys.stdin.read()))
times = "once" if read == stored else f"{read / stored:.3f} times"
# A thread may need a megabyte, and pieces of rows.
place = "in place" if beside <= max(2 << 20, largest // 8) else f"with {beside} bytes beside a weight of {largest}"
print(f"{times}, {place}")
