"""Simulates a run over many radiographs: how long the slowest workers and those that die make it.

python benchmarks/stragglers.py [--count 1000000] [--workers 200] [--seconds 0.12]

A worker is one core. It takes tasks of some radiographs, one after the other, from one queue, as Spark and Beam's
runners do. The time for a radiograph is log-normal around `--seconds`. Some workers are slower all the time, and each
dies now and then: then a new one starts later, and its task begins anew. At the end of the queue a task that takes
longer than others may be given to an idle worker, too (speculation); the first to end counts.
"""

import argparse
import heapq

import numpy as np

TASKS = (16, 64, 256, 1024, 4096)
# Log-normal, so a twentieth takes more than 1.8 times the median: radiographs differ in size and format.
SPREAD = 0.35
SLOW_PART, SLOW_FACTOR = 0.05, 3.0
# Of spot machines, which are taken away; and how long another one takes, with the package's container.
HOURS_BETWEEN_DEATHS, RESTART_SECONDS = 6.0, 180.0
# What an engine takes for each task, and a worker for opening the model.
TASK_SECONDS, START_SECONDS = 0.05, 5.0
SEEDS = 5


def main():
    """Prints a table: minutes by task size, with and without speculation, and the part of work done twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.12, help="of one core for a radiograph")
    given = parser.parse_args()
    ideal = given.count * given.seconds / given.workers
    print(f"{given.count} radiographs, {given.workers} cores: {ideal / 60:.1f} min without any loss\n")
    print("| radiographs a task | all alike | slow workers | and deaths | and speculation | done twice |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        cases = [(1.0, np.inf, False), (SLOW_FACTOR, np.inf, False)]
        cases += [(SLOW_FACTOR, HOURS_BETWEEN_DEATHS * 3600, speculates) for speculates in (False, True)]
        runs = [[simulate(given, task, *case, seed) for seed in range(SEEDS)] for case in cases]
        minutes = [f"{np.mean([end for end, _ in run]) / 60:.1f} min" for run in runs]
        print(" | ".join([f"| {task}", *minutes, f"{100 * np.mean([twice for _, twice in runs[-1]]):.1f} %"]) + " |")


def simulate(given, task, slow_factor, seconds_between_deaths, speculates, seed):
    """Returns the seconds that a run takes, and which part of the work was done twice."""
    random = np.random.default_rng(seed)
    tasks = -(-given.count // task)
    # A sum of `task` log-normal times, by its mean and variance.
    variance = (np.exp(SPREAD**2) - 1) / task
    work = given.seconds * task * np.maximum(random.normal(1, np.sqrt(variance), tasks), 0.2)
    factors = np.where(random.random(given.workers) < SLOW_PART, slow_factor, 1.0)
    deaths = random.exponential(seconds_between_deaths, given.workers) if np.isfinite(seconds_between_deaths) else None
    free = [(START_SECONDS, worker) for worker in range(given.workers)]
    heapq.heapify(free)
    ends, twice, waiting = np.full(tasks, np.inf), 0.0, list(range(tasks))[::-1]
    while waiting or speculates:
        if not waiting:
            now = free[0][0]
            late = int(np.argmax(ends))
            # Who is idle helps only where it would be faster.
            if ends[late] <= now + work[late] + TASK_SECONDS:
                break
        start, worker = heapq.heappop(free)
        number = waiting.pop() if waiting else late
        again = np.isfinite(ends[number])
        end = start + TASK_SECONDS + work[number] * factors[worker]
        if deaths is not None and deaths[worker] < end:
            twice += max(deaths[worker] - start, 0.0)
            back = max(deaths[worker], start) + RESTART_SECONDS + START_SECONDS
            deaths[worker] = back + random.exponential(seconds_between_deaths)
            heapq.heappush(free, (back, worker))
            if not again:
                waiting.append(number)
            continue
        twice += work[number] if again else 0.0
        ends[number] = min(ends[number], end)
        heapq.heappush(free, (end, worker))
    return float(ends.max()), twice / work.sum()


if __name__ == "__main__":
    main()
