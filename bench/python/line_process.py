"""The other end of bench/line-process.ts: answers each line of standard input with one line."""

import json
import os
import sys
import time
from pathlib import Path


def serve(load):
    """`load(job, folder)` gives (version, run, as_float32); the programs' only argument is folder."""
    folder = Path(sys.argv[1])
    # Frameworks print to standard output, so answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = as_float32 = None
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "load":
            try:
                job = json.loads((folder / "job.json").read_text())
                version, run, as_float32 = load(job, folder)
                run()
                answer = {"version": version}
            except Exception as error:  # any error of a framework means that it cannot take part
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        elif command == "run":
            answer = []
            for _ in range(int(arguments[0])):
                start = time.perf_counter_ns()
                run()
                answer.append(time.perf_counter_ns() - start)
        else:
            as_float32(run()).tofile(folder / "result.bin")
            answer = "done"
        print(json.dumps(answer), file=answers, flush=True)
