"""margincall's own cross accounts behind the adapter: signed orders, a feed with steps, funding, pause."""

from margincall.audit.adapter import Account, abilities
from margincall.audit.adapter.audit import audit
from margincall.audit.adapter.run import Call, Run
from margincall.audit.examples import margincall_cross


def test_ours_passes():
    report = audit(margincall_cross.adapter, 200, seed=1)
    assert [finding.broken for finding in report.findings] == []
    assert report.counts["liquidate ok"] > 0
    assert report.counts["everyone left"] > 0
    assert {"I-22", "I-24", "I-34", "I-38", "I-39"} <= set(report.checked)


def test_stale_prices_and_a_pause_are_seen():
    run = Run(margincall_cross.adapter)
    assert {"Ageing", "Pause", "Surface"} <= abilities(run.adapter)
    one, two = Account(0), Account(5)
    for call in (
        Call("deposit", (one, 20_000 * 10**6)),
        Call("deposit", (two, 20_000_000 * 10**6)),
        Call("trade", (0, one, two, 10**8, run.prices[0])),
        Call("probe", ("i_38_pause", 1)),
        Call("wait", (601,)),
        Call("withdraw", (one, 10**6)),
        Call("liquidate", (5, one, 1_000)),
    ):
        run.apply(call)
    assert run.state.accounts[one].margin is None
    assert run.counts["stale price tried"] == 2
    assert run.refusals["price: stale"] == 2
    # A price after the silence waits for the grace to end: liquidations are open again.
    run.apply(Call("set_price", (0, run.prices[0] * 9 // 10)))
    assert run.state.accounts[one].margin is not None
    assert run.checked["I-36"] == 2
