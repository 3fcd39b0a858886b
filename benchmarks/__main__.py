"""Run the benchmarks, all or the named ones: ``python -m benchmarks [name ...]``."""

import importlib
import pkgutil
import sys
import time

import benchmarks


def names() -> list[str]:
    """Names of all benchmarks: the modules of this package without an underscore in front."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name[0] != "_")


def main(wanted: list[str]) -> int:
    """Run them one after the other; one that fails does not stop the others."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(names())}.")
        return 1
    failed = []
    for name in wanted or names():
        print(f"== {name}", flush=True)
        begin = time.perf_counter()
        try:
            importlib.import_module(f"benchmarks.{name}").main()
        except Exception as error:
            failed.append(name)
            print(f"{name} failed: {type(error).__name__}: {error}")
        print(f"-- {name}: {time.perf_counter() - begin:.0f} s\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
