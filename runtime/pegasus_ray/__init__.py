"""Many machines: datasets of Ray Data, and deployments of Ray Serve.

>>> import ray                                           # doctest: +SKIP
>>> from pegasus_ray import summarize_dataset
>>> reports = ray.data.read_parquet("s3://bucket/reports")
>>> summarize_dataset(reports, "s3://bucket/xsum", text_column="body").write_parquet("out")

Ray is loaded when it is first needed. A cluster that is started by a program that has imported this
package reports nothing about its use to anybody, unless RAY_USAGE_STATS_ENABLED=1.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pegasus_ray.deployment import make_deployment
    from pegasus_ray.summarize_dataset import summarize_dataset
    from pegasus_ray.work import Loading

__all__ = ["Loading", "make_deployment", "summarize_dataset"]

_HOMES = {
    "Loading": "work",
    "make_deployment": "deployment",
    "summarize_dataset": "summarize_dataset",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
