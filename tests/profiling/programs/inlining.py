"""Compiles a chain of functions (and keeps it in the cache), and prints where it went."""

import json
import math

from numba import njit


@njit(cache=True)
def inlined(x):
    return math.sqrt(x * 3.0 + 1.0)


@njit(cache=True)
def recursive(n):
    if n < 2:
        return 1.0 * n
    return recursive(n - 1) + recursive(n - 2)


@njit(cache=True)
def top(n):
    total = 0.0
    for i in range(n):
        total += inlined(total) + recursive(i)
    return total


def main():
    top(5)
    compiled = next(iter(top.overloads.values()))
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    print(json.dumps({"address": address, "hits": sum(top.stats.cache_hits.values())}))


if __name__ == "__main__":
    main()
