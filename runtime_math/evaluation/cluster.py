"""Work on an existing Dask cluster: the same functions, the same results, other machines."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

CONNECT_SECONDS = 4

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class ClusterError(RuntimeError):
    """A Dask cluster cannot be used; the message says why in one sentence."""


def connect(address: str) -> Any:
    """Connect to a scheduler.

    Parameters
    ----------
    address : str
        For instance ``tcp://127.0.0.1:8786``.

    Returns
    -------
    distributed.Client

    Raises
    ------
    ClusterError
        Not installed, or nobody answers within some seconds.
    """
    try:
        import distributed
    except ImportError:
        raise ClusterError("Dask is not installed; install runtime-math[distributed]") from None
    try:
        return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at {address} ({_first(error)})") from None


def _first(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def run_on_cluster(
    function: Callable[[Item], Outcome],
    items: Sequence[Item],
    address: str,
    progress: Callable[[int, int], object] | None = None,
) -> list[Outcome]:
    """Apply a function to items on a cluster.

    Parameters
    ----------
    function : callable
        Importable on the workers.
    items : list
    address : str
    progress : callable, optional
        ``progress(done, total)`` after every item.

    Returns
    -------
    list
        Results in the order of the items.
    """
    client = connect(address)
    try:
        from distributed import as_completed

        results = {}
        futures = client.map(function, items, pure=False)
        places = {future.key: index for index, future in enumerate(futures)}
        for future, result in as_completed(futures, loop=client.loop, with_results=True):
            results[places[future.key]] = result
            if progress is not None:
                progress(len(results), len(items))
        return [results[index] for index in range(len(items))]
    finally:
        client.close()
