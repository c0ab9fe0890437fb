"""Identities of containers: the 64-digit id and the random name of one that was given none."""

from __future__ import annotations

import os

# Words of our own choosing: short, friendly, easy to tell apart when read out.
ADJECTIVES = """
    able airy amber ample apt brave breezy bright brisk calm candid cheery clear clever cosy crisp
    curious dapper daring deft eager early earnest fair fearless fleet fond frank free fresh gentle
    glad golden grand hardy hearty humble jolly keen kind lasting lively loyal lucid lucky mellow
    merry mild modest neat nimble noble patient placid plucky polite proud quick quiet rapid ready
    robust sage serene sharp silent silver simple sleek smooth snug sound spry stable steady stout
    sturdy subtle sunny swift tender tidy trusty upbeat valiant vivid warm wise witty zesty
"""
# Surnames of people who moved computing, mathematics, and the sciences forward.
SURNAMES = """
    abel ampere archimedes babbage bacon banach bell bernoulli bohr boole borg brahe cantor cauchy
    cerf church codd curie dalton darwin dijkstra dirac engelbart erdos euclid euler faraday fermat
    fermi feynman fibonacci floyd fourier galileo galois gauss goedel hamilton hamming herschel hertz
    hilbert hoare hooke hopper hubble hypatia johnson joule karp kelvin kepler kernighan kleene knuth
    kolmogorov lagrange lamarr lamport laplace leavitt leibniz liskov lovelace maxwell mccarthy
    meitner mendel minsky mirzakhani moore naur nernst neumann newton nightingale noether ohm pascal
    pasteur perlman planck poincare ptolemy ramanujan riemann ritchie rutherford sagan shannon
    somerville tarjan tesla thompson turing vaughan volta wallis watt wiles wirth
"""


def new_id() -> str:
    """Return 64 random hexadecimal digits, at least one of them a letter among the first twelve.

    An id that reads as a number in its short form would be mistaken for one by other tools.
    """
    while True:
        identity = os.urandom(32).hex()
        if not identity[:12].isdigit():
            return identity


def new_name() -> str:
    """Return a random `adjective_surname`; the caller tries again if it is taken."""
    return f"{_draw(ADJECTIVES)}_{_draw(SURNAMES)}"


def _draw(words: str) -> str:
    choices = words.split()
    return choices[int.from_bytes(os.urandom(4), "little") % len(choices)]
