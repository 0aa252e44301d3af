"""The stateful property machine: operations on the real contracts and their twin, properties after each.

`machine.Machine` drives one deployment of `settings.SETTINGS`; `properties` holds I-01 .. I-40 by id;
`report` says what a run must have reached.
"""
