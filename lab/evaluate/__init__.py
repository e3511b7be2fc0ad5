"""How good are the product's answers? Audits every recorded case in a process of its own and compares with what is true.

The rooms, in the order of the work: :mod:`cases` (what is there, and its truth), :mod:`product` (one run, truth out of reach),
:mod:`judge` (one answer against one truth), :mod:`rates` and :mod:`summary` (many of them), :mod:`terminal`, :mod:`plots` and
:mod:`page` (shown). ``docs/evaluation.md`` says what every figure means.
"""
