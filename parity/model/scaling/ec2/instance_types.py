"""Types of instances: how many CPUs and how much memory they have."""

from __future__ import annotations

from collections.abc import Iterator

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import describing, page_of
from parity.model.scaling.region import Answer, Region, Request

#: CPUs and memory in MiB of the burstable types. Source: https://aws.amazon.com/ec2/instance-types/
_BURSTABLE = {
    "nano": (2, 512),
    "micro": (2, 1024),
    "small": (2, 2048),
    "medium": (2, 4096),
    "large": (2, 8192),
    "xlarge": (4, 16_384),
    "2xlarge": (8, 32_768),
}
#: The smaller types of the second generation have one CPU.
_T2 = {**_BURSTABLE, "nano": (1, 512), "micro": (1, 1024), "small": (1, 2048)}
#: CPUs of the other families' sizes.
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
#: GiB of memory a CPU, by the letter of the family: compute, general, memory.
_GIB_PER_CPU = {"c": 2, "m": 4, "r": 8}
_GENERATIONS = ("5", "6i", "7i")


def _all() -> Iterator[tuple[str, tuple[int, int]]]:
    yield "m1.small", (1, 1740)
    for family in ("t2", "t3", "t3a"):
        for size, figures in (_T2 if family == "t2" else _BURSTABLE).items():
            yield f"{family}.{size}", figures
    for letter, gib in _GIB_PER_CPU.items():
        for generation in _GENERATIONS:
            for size, cpus in _SIZES.items():
                yield f"{letter}{generation}.{size}", (cpus, cpus * gib * 1024)


TYPES = dict(_all())


@describing("DescribeInstanceTypes")
def _describe(_region: Region, request: Request) -> Answer:
    names = request.get("InstanceTypes") or list(TYPES)
    if unknown := [name for name in names if name not in TYPES]:
        raise ServiceError(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        )
    names = filters.chosen(names, request.get("Filters"), _FIELDS)
    shown, after = page_of(names, request, key=str, smallest=5, ids="InstanceTypes")
    return {"InstanceTypes": [_shown(name) for name in shown], **after}


def _shown(name: str) -> Answer:
    cpus, memory_mib = TYPES[name]
    return {
        "InstanceType": name,
        "CurrentGeneration": not name.startswith("m1."),
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": False,
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": cpus},
        "MemoryInfo": {"SizeInMiB": memory_mib},
        "InstanceStorageSupported": False,
        "BurstablePerformanceSupported": name.startswith("t"),
    }


_FIELDS: filters.Fields[str] = {
    "bare-metal": lambda _: ["false"],
    "burstable-performance-supported": lambda name: ["true" if name.startswith("t") else "false"],
    "current-generation": lambda name: ["false" if name.startswith("m1.") else "true"],
    "instance-type": lambda name: [name],
    "memory-info.size-in-mib": lambda name: [str(TYPES[name][1])],
    "processor-info.supported-architecture": lambda _: ["x86_64"],
    "supported-usage-class": lambda _: ["on-demand", "spot"],
    "vcpu-info.default-vcpus": lambda name: [str(TYPES[name][0])],
}
