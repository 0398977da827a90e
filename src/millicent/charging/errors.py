"""What balances refuse to people. Each has a stable code; on refusal no balance was changed."""

from millicent.kit.errors import Outage, Refusal


class BalanceRefused(Refusal):
    """The shard said no to a change of a balance; `result` says why."""

    code = "balance_refused"


class KeyReused(Refusal):
    """An order came again under a key that another order has."""

    code = "balance_key_reused"


class AmountRefused(Refusal):
    """An amount is outside what was declared for such an order."""

    code = "balance_amount_refused"


class UnknownBalanceAccount(Refusal):
    """There is no such billing account."""

    code = "unknown_balance_account"


class SecondPersonNeeded(Refusal):
    """Somebody approved an adjustment of their own."""

    code = "second_person_needed"


class OrderNotWaiting(Refusal):
    """An order that does not wait for approval was approved or refused."""

    code = "order_not_waiting"


class TransferRefused(Refusal):
    """Transfers are not allowed, or this one is not."""

    code = "transfer_refused"


class AdvanceRefused(Refusal):
    """No emergency credit now: none was declared, the last one is not repaid, or there is money enough."""

    code = "advance_refused"


class VoucherRefused(Refusal):
    """The code opens nothing: unknown, used, expired or blocked. Which of them it is, a stranger is not told."""

    code = "voucher_refused"


class TooManyGuesses(Refusal):
    """Too many wrong codes in a row: the door stays shut for a while."""

    code = "too_many_guesses"


class UnknownVoucherBatch(Refusal):
    """There is no voucher batch of this code, or there is one already."""

    code = "unknown_voucher_batch"


class HistoryBehind(Outage):
    """The history of balances is so far behind that nobody can say whether a command was done: ask again later."""

    code = "balance_history_behind"


class PolicyCounterUnknown(Refusal):
    """A policy function asked for a counter that charging.yaml does not declare; `counters` names them."""

    code = "policy_counter_unknown"


class WatchedSubscriptionUnknown(Refusal):
    """A policy function asked for the status of a subscription that is not there, or is gone."""

    code = "watched_subscription_unknown"
