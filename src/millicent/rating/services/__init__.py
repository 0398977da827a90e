"""What rating does for others: compile a catalogue, price usage with allowances, price it without, price a slice."""

from millicent.rating.compile.catalogue import compile_catalogue
from millicent.rating.program import TariffProgram
from millicent.rating.services.price_interim import price_interim
from millicent.rating.services.price_usage import Priced, Programs, prepare_holdings, price_stateless, price_usage
from millicent.rating.services.trace_usage import TracedCharge, UsageNotFound, trace_usage

__all__ = [
    "Priced",
    "Programs",
    "TariffProgram",
    "TracedCharge",
    "UsageNotFound",
    "compile_catalogue",
    "prepare_holdings",
    "price_interim",
    "price_stateless",
    "price_usage",
    "trace_usage",
]
