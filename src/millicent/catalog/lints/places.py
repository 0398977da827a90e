"""Where a lint points to, and what it says."""

from millicent.catalog.errors import Fault, Severity


def remark(code: str, where: str, message: str, cure: str, *, severity: Severity = Severity.WARNING) -> Fault:
    """A fault at a "file:line" as the values carry it."""
    file, _, line = where.rpartition(":")
    return Fault(
        code=code,
        file=file,
        line=int(line) if line.isdigit() else 0,
        column=1,
        message=message,
        cure=cure,
        severity=severity,
    )
