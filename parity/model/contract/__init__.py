"""The contract: what one job's life may look like to a client, on a stack with given settings."""

from parity.model.contract.automaton import Automaton, Contract, Edge, Node, Symbol, symbol_of
from parity.model.contract.deviations import DEVIATIONS, Deviation
from parity.model.contract.rules import BRANCHES, RULES, Rules
from parity.model.contract.surroundings import LATENESS_US, Surroundings

__all__ = [
    "BRANCHES",
    "DEVIATIONS",
    "LATENESS_US",
    "RULES",
    "Automaton",
    "Contract",
    "Deviation",
    "Edge",
    "Node",
    "Rules",
    "Surroundings",
    "Symbol",
    "symbol_of",
]
