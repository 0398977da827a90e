"""An explanation as sentences, in the languages that bills are written in."""

from collections.abc import Mapping
from fractions import Fraction

from millicent.kit.errors import BadInput
from millicent.kit.money import format_plain, nano_digits

# One sentence for each kind of step. A step of another kind is not told.
_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "rule": "From unit {from_unit} to {until_unit} rule {rule}{where} is in force.",
        "span": "{billed_units} units are billed in whole increments of {increment_units}: {bucket_units} are "
        "included, {charged_units} cost {money}.",
        "ladder": "The total of {counter} in this cycle goes from {total_before} to {total_after} units.",
        "connect": "The connection costs {money}.",
        "percentage": "The share of the content amount is {money}.",
        "minimum": "The least that is charged is {money}.",
        "maximum": "The most that is charged is {money}.",
        "limit": "The most that may be charged stops the usage: {unserved_units} units are not served.",
        "unanswered": "An attempt that is not answered costs {money}.",
        "allowance": "Allowance {allowance} gives {taken} for {units} units: {remaining_before} before, "
        "{remaining_after} after.",
        "unlimited": "Allowance {allowance} gives {taken} for {units} units: it has no limit.",
        "rounding": "Rounded once ({mode}), that is {money}.",
        "money_allowance": "Balance {allowance} pays {money}.",
        "minimum_units": "At least {quantity_units} units count.",
        "surcharge": "A surcharge is added.",
        "zone": " for {zone}",
        "answer": "The charge is {amount} {currency}.",
        "reason": "It could not be priced: {reason}.",
    },
    "es": {
        "rule": "De la unidad {from_unit} a la {until_unit} rige la tarifa {rule}{where}.",
        "span": "Se facturan {billed_units} unidades en incrementos completos de {increment_units}: {bucket_units} "
        "están incluidas y {charged_units} cuestan {money}.",
        "ladder": "El total de {counter} en este ciclo pasa de {total_before} a {total_after} unidades.",
        "connect": "El establecimiento cuesta {money}.",
        "percentage": "La parte del importe del contenido es de {money}.",
        "minimum": "El cargo mínimo es de {money}.",
        "maximum": "El cargo máximo es de {money}.",
        "limit": "El cargo máximo detiene el consumo: {unserved_units} unidades no se prestan.",
        "unanswered": "Un intento sin respuesta cuesta {money}.",
        "allowance": "El bono {allowance} entrega {taken} por {units} unidades: antes {remaining_before}, después "
        "{remaining_after}.",
        "unlimited": "El bono {allowance} entrega {taken} por {units} unidades: no tiene límite.",
        "rounding": "Redondeado una vez ({mode}), son {money}.",
        "money_allowance": "El saldo {allowance} paga {money}.",
        "minimum_units": "Cuentan al menos {quantity_units} unidades.",
        "surcharge": "Se añade un recargo.",
        "zone": " para {zone}",
        "answer": "El cargo es de {amount} {currency}.",
        "reason": "No se pudo tarificar: {reason}.",
    },
    "fr": {
        "rule": "De l’unité {from_unit} à l’unité {until_unit}, la règle {rule}{where} s’applique.",
        "span": "{billed_units} unités sont facturées par paliers entiers de {increment_units} : {bucket_units} sont "
        "incluses, {charged_units} coûtent {money}.",
        "ladder": "Le total de {counter} sur ce cycle passe de {total_before} à {total_after} unités.",
        "connect": "La mise en relation coûte {money}.",
        "percentage": "La part du montant du contenu est de {money}.",
        "minimum": "Le montant minimal est de {money}.",
        "maximum": "Le montant maximal est de {money}.",
        "limit": "Le montant maximal arrête l’usage : {unserved_units} unités ne sont pas servies.",
        "unanswered": "Une tentative sans réponse coûte {money}.",
        "allowance": "Le forfait {allowance} donne {taken} pour {units} unités : {remaining_before} avant, "
        "{remaining_after} après.",
        "unlimited": "Le forfait {allowance} donne {taken} pour {units} unités : il est sans limite.",
        "rounding": "Arrondi une fois ({mode}), cela fait {money}.",
        "money_allowance": "Le solde {allowance} paie {money}.",
        "minimum_units": "Au moins {quantity_units} unités comptent.",
        "surcharge": "Un supplément s’ajoute.",
        "zone": " pour {zone}",
        "answer": "Le montant est de {amount} {currency}.",
        "reason": "L’usage n’a pas pu être tarifé : {reason}.",
    },
}
_ROUNDING: Mapping[str, Mapping[str, str]] = {
    "en": {"up": "up", "down": "down", "half_up": "half up", "half_even": "half to even"},
    "es": {"up": "al alza", "down": "a la baja", "half_up": "mitad al alza", "half_even": "mitad al par"},
    "fr": {"up": "au supérieur", "down": "à l’inférieur", "half_up": "demi au supérieur", "half_even": "demi au pair"},
}
LANGUAGES = tuple(_SENTENCES)
_NO_LIMIT_UNITS = 2**61  # whoever grants without a limit grants more than this


def explanation_sentences(document: Mapping[str, object], *, language: str) -> list[str]:
    """The steps of an explanation (`explain.explain_charge`) told one after the other, the answer last."""
    if language not in _SENTENCES:
        raise BadInput(
            f"there are no sentences in {language!r}", where="language", cure=f"Use one of {', '.join(LANGUAGES)}."
        )
    words = _SENTENCES[language]
    currency = str(document["currency"])
    steps = document["steps"]
    assert isinstance(steps, list)
    told = [
        _told(step, words, language=language, currency=currency)
        for step in steps
        if step["step"] in words and step["step"] != "reason"
    ]
    if document["reason"] != "priced":
        return [*told, words["reason"].format(reason=document["reason"])]
    return [*told, words["answer"].format(amount=document["amount"], currency=currency)]


def _told(step: Mapping[str, object], words: Mapping[str, str], *, language: str, currency: str) -> str:
    facts = dict(step)
    facts["where"] = words["zone"].format(zone=step["zone"]) if step.get("zone") else ""
    if "nanos" in step:
        facts["money"] = f"{_money(step['nanos'], currency)} {currency}"
    if "mode" in step:
        facts["mode"] = _ROUNDING[language][str(step["mode"])]
    kind = "unlimited" if int(str(step.get("remaining_before", 0))) > _NO_LIMIT_UNITS else str(step["step"])
    return words[kind].format(**facts)


def _money(nanos: object, currency: str) -> str:
    """A whole number of nanos exactly; a fraction of a nano cut for reading, marked with an ellipsis."""
    exact = Fraction(str(nanos))
    if exact.denominator == 1:
        return format_plain(exact.numerator, currency)
    whole = abs(exact).numerator // abs(exact).denominator
    sign = "-" if exact < 0 else ""
    return f"{sign}{format_plain(whole, currency, decimals=nano_digits(currency))}…"
