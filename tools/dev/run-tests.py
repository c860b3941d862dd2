#!/usr/bin/env python3
"""Runs the lit tests, the ctest tests, or both, and counts them together.

The output of the runners goes through; the last line is `N passed, N failed`.
Exits with 1 if a test failed or a runner could not run.
"""
import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

# What --quick leaves out of the unit tests: kernels for other processors than this machine's own and the oldest (v2), which
# stays where there are few; and all but a few of the forms of weights where each has all tiles of a GPU.
SLOW_CASES = [f"{suite}/*/{level}*" for suite in ("CPUs", "All") for level in ("v3", "v4", "tiles")]
SLOW_CASES += ["All/GroupProductTest.*/v2*", *(f"Formats/PanelTileTest.*/{form}" for form in ("q8_0", "q5_0", "q5_k", "q6_k", "q8_row"))]

LIT_FAILED = {"FAIL", "XPASS", "UNRESOLVED", "TIMEOUT"}
LIT_PASSED = {"PASS", "FLAKYPASS", "XFAIL"}


class Count:
    passed = failed = skipped = 0

    def __init__(self):
        self.reasons = collections.Counter()

    def add(self, passed, failed):
        self.passed += passed
        self.failed += failed
        self.skipped += not (passed or failed)


def run(command, result, name, count):
    """Runs a test runner; one that leaves no result is a failure of its own."""
    sys.stdout.flush()
    code = subprocess.run(command, check=False).returncode
    if os.path.exists(result):
        return code
    print(f"{name} wrote no result and exited with {code}")
    count.add(False, True)
    return None


def run_lit(args, folder, count):
    result = os.path.join(folder, "lit.json")
    command = [args.lit, f"-j{args.jobs}", "-sv", "--order=smart", "-o", result, args.suite]
    if args.quick:
        command += ["--param", "quick=1"]
    if run(command, result, "lit", count) is None:
        return
    with open(result, encoding="utf-8") as file:
        for test in json.load(file)["tests"]:
            count.add(test["code"] in LIT_PASSED, test["code"] in LIT_FAILED)


def cases(result):
    """(passed, failed) of each case of a GoogleTest program."""
    for case in ElementTree.parse(result).getroot().iter("testcase"):
        failed = case.find("failure") is not None
        yield case.get("result") == "completed" and not failed, failed


def reasons(result):
    """Why each skipped case of a GoogleTest program was not run: the last line of its message."""
    for case in ElementTree.parse(result).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            lines = (skipped.get("message") or skipped.text or "").strip().splitlines()
            yield lines[-1].strip() if lines else "no reason given"


def run_ctest(args, folder, count):
    # Where cmake/CladeTests.cmake lets the programs say what their cases did.
    cases_folder = os.path.join(args.build, "test-results")
    shutil.rmtree(cases_folder, ignore_errors=True)
    result = os.path.join(folder, "ctest.xml")
    command = [args.ctest, "--test-dir", args.build, f"-j{args.jobs}", "--output-on-failure",
               "--progress", "--no-tests=ignore", "--output-junit", result]
    if run(command, result, "ctest", count) is None:
        return
    for test in ElementTree.parse(result).getroot().iter("testcase"):
        # A program that was not built did not run.
        failed = test.get("status") in ("fail", "notrun")
        of_cases = os.path.join(cases_folder, test.get("name", "") + ".xml")
        if not os.path.exists(of_cases):
            # Not a program of cases, or one that ended before it could tell of them.
            count.add(test.get("status") == "run", failed)
            continue
        results = list(cases(of_cases))
        count.reasons.update(reasons(of_cases))
        for case in results:
            count.add(*case)
        if failed and not any(case_failed for _, case_failed in results):
            count.add(False, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lit", help="the lit program")
    parser.add_argument("--suite", help="the folder of lit.site.cfg.py")
    parser.add_argument("--ctest", help="the ctest program")
    parser.add_argument("--build", help="the build folder")
    parser.add_argument("--quick", action="store_true", help="leave out the lit tests that say 'UNSUPPORTED: quick' and SLOW_CASES")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()

    # See test/lit.cfg.py.
    os.environ.setdefault("ASAN_OPTIONS", "allow_user_poisoning=0")
    if args.quick:
        os.environ.setdefault("GTEST_FILTER", "-" + ":".join(SLOW_CASES))
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        if args.lit:
            run_lit(args, folder, count)
        if args.ctest:
            run_ctest(args, folder, count)
    for reason, number in sorted(count.reasons.items()):
        print(f"not run: {reason} ({number} tests)")
    if count.skipped:
        print(f"{count.skipped} skipped")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
