"""Variables of the environment that hold libraries to their threads and seed.

They count when a library is loaded: the application sets them before anything heavy is imported,
the pool before it starts a child, and the room that imports ants for whoever calls it on its own.
"""

MEMORY_LIMIT = "SPINALPREP_MEM_GB"
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def thread_limits(threads: int) -> dict[str, str]:
    """Return the variables that hold numerical libraries to a number of threads."""
    return dict.fromkeys(THREADS, str(threads))


def ants_repeats(seed: int = 0) -> dict[str, str]:
    """Return the variables without which ANTs gives other numbers from call to call.

    To ITK a seed of 0 means "by the clock"; over two threads its sums, and with them a
    registration, differ (measured: up to 0.6 mm).
    """
    return {
        "ANTS_RANDOM_SEED": str(seed or 1),
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    }


def run_environment(threads: int, seed: int, mem_gb: float) -> dict[str, str]:
    """Return all variables of a run, ``NO_ET`` (pydra asks nobody about its version) included."""
    limit = {MEMORY_LIMIT: str(mem_gb), "NO_ET": "1"}
    return thread_limits(threads) | ants_repeats(seed) | limit
