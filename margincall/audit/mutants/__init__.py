"""Planted bugs: does the property machine notice them, and which property does?

`planting` changes a copy of the contracts and compiles it; `catalogue` holds the bugs that happened
elsewhere, as changes of these contracts, and our own; `operators` makes generic mutants of every line;
`hunting` runs the machine on a mutant, with its exact twin and without; `campaign` runs many, in processes,
and can be resumed;
`tables` prints what came out.
"""
