"""Every word of our own on a bill, in every language. Words of the catalogue come with the bill.

One row a word, one column a language. A placeholder in braces stands in every language or in none.
"""

from collections.abc import Mapping

LANGUAGES = ("en", "es", "fr")

_TABLE: Mapping[str, tuple[str, str, str]] = {
    # head
    "bill": ("Bill", "Factura", "Facture"),
    "bill_title": ("Bill {number} of {operator}", "Factura {number} de {operator}", "Facture {number} de {operator}"),
    "rehearsal_title": (
        "Rehearsed bill of {operator}",
        "Factura de prueba de {operator}",
        "Simulation de facture de {operator}",
    ),
    "rehearsal": (
        "Rehearsal: this is not a bill. Nothing is owed because of it.",
        "Prueba: esto no es una factura. No genera ninguna deuda.",
        "Simulation : ceci n’est pas une facture. Aucun montant n’est dû à ce titre.",
    ),
    "bill_number": ("Bill number", "Número de factura", "Numéro de facture"),
    "bill_date": ("Bill date", "Fecha de factura", "Date de facture"),
    "period": ("Billing period", "Periodo de facturación", "Période de facturation"),
    "account": ("Customer account", "Cuenta de cliente", "Compte client"),
    "your_tax_number": ("Your tax number", "Su NIF", "Votre numéro de TVA"),
    "bill_for": ("Bill for", "Factura para", "Facture pour"),
    # what to pay
    "total_to_pay": ("Total to pay", "Total a pagar", "Total à payer"),
    "nothing_to_pay": ("Nothing to pay", "Nada que pagar", "Rien à payer"),
    "credit_in_your_favour": ("Credit in your favour", "Saldo a su favor", "Crédit en votre faveur"),
    "due_by": ("Please pay by", "Fecha límite de pago", "À payer avant le"),
    "how_to_pay": ("How to pay", "Cómo pagar", "Comment payer"),
    # summary
    "summary": ("Summary", "Resumen", "Récapitulatif"),
    "kind_recurring": ("Subscriptions and services", "Cuotas y servicios", "Abonnements et services"),
    "kind_one_time": ("One-time charges", "Cargos únicos", "Frais ponctuels"),
    "kind_usage": ("Usage", "Consumo", "Consommation"),
    "kind_commitment": ("Minimum spend", "Consumo mínimo", "Minimum de consommation"),
    "kind_discount": ("Discounts", "Descuentos", "Remises"),
    "kind_adjustment": ("Corrections of earlier bills", "Regularizaciones", "Régularisations"),
    "total_before_tax": ("Total before tax", "Base imponible", "Total hors taxes"),
    "total_tax": ("Taxes", "Impuestos", "Taxes"),
    "total": ("Total", "Total", "Total"),
    "amount": ("Amount", "Importe", "Montant"),
    "charge": ("Charge", "Concepto", "Libellé"),
    "accounts_on_this_bill": ("Accounts on this bill", "Cuentas en esta factura", "Comptes de cette facture"),
    # taxes
    "taxes": ("Taxes in detail", "Detalle de impuestos", "Détail des taxes"),
    "tax": ("Tax", "Impuesto", "Taxe"),
    "tax_rate": ("Rate", "Tipo", "Taux"),
    "tax_base": ("Taxable amount", "Base", "Base"),
    "tax_amount": ("Tax", "Cuota", "Montant"),
    "tax_included": ("included in prices", "incluido en los precios", "compris dans les prix"),
    "tax_fixed": ("fixed", "fijo", "fixe"),
    "reverse_charge": (
        "{tax}: reverse charge. The customer accounts for the tax.",
        "{tax}: inversión del sujeto pasivo. El cliente declara el impuesto.",
        "{tax} : autoliquidation. La taxe est due par le preneur.",
    ),
    "exempt": (
        "{tax}: exempt, certificate {certificate}.",
        "{tax}: exento, certificado {certificate}.",
        "{tax} : exonération, certificat {certificate}.",
    ),
    # charges
    "charges": ("Your charges in detail", "Detalle de sus cargos", "Détail de vos frais"),
    "account_itself": ("Account", "Cuenta", "Compte"),
    "subscription": ("Subscription {code}", "Línea {code}", "Ligne {code}"),
    "subtotal": ("Subtotal", "Subtotal", "Sous-total"),
    "quantity": ("Quantity", "Cantidad", "Quantité"),
    "included_quantity": ("{quantity} included", "{quantity} incluidos", "{quantity} inclus"),
    "event": ("1 time", "1 vez", "1 fois"),
    "events": ("{count} times", "{count} veces", "{count} fois"),
    "billed_in_advance": ("in advance", "por adelantado", "d’avance"),
    "why_part_of_period": (
        "{days} of {all_days} days at {price}",
        "{days} de {all_days} días a {price}",
        "{days} jours sur {all_days} à {price}",
    ),
    "why_fraction_of_period": ("{percent} of {price}", "{percent} de {price}", "{percent} de {price}"),
    "why_percent_of": ("{percent} of {base}", "{percent} de {base}", "{percent} de {base}"),
    "why_minimum": (
        "minimum {minimum}, you used {spent}",
        "mínimo {minimum}, consumido {spent}",
        "minimum {minimum}, consommé {spent}",
    ),
    "why_maximum": (
        "maximum {maximum}, you used {spent}",
        "máximo {maximum}, consumido {spent}",
        "maximum {maximum}, consommé {spent}",
    ),
    # allowances
    "allowances": ("What your plans included", "Lo incluido en sus planes", "Ce que vos forfaits comprenaient"),
    "allowance": ("Allowance", "Bono", "Forfait"),
    "used_of": ("{used} of {granted}", "{used} de {granted}", "{used} sur {granted}"),
    "used": ("Used", "Usado", "Utilisé"),
    "left": ("Left", "Disponible", "Restant"),
    "unlimited": ("unlimited", "ilimitado", "illimité"),
    "shared": ("shared", "compartido", "partagé"),
    "shared_by": ("shared by {owner}", "compartido por {owner}", "partagé par {owner}"),
    # charts
    "usage_by_month": ("{service} by month", "{service} por mes", "{service} par mois"),
    "usage_by_day": ("{service} by day", "{service} por día", "{service} par jour"),
    "cost_by_destination": ("Usage charges by destination", "Consumo por destino", "Consommation par destination"),
    "your_usage": ("Your usage", "Su consumo", "Votre consommation"),
    "other_destinations": ("Other", "Otros", "Autres"),
    "chart_of": (
        "Bar chart. {title}: {values}.",
        "Gráfico de barras. {title}: {values}.",
        "Graphique. {title} : {values}.",
    ),
    # itemised usage
    "details": ("Itemised usage", "Detalle del consumo", "Relevé détaillé"),
    "date": ("Date", "Fecha", "Date"),
    "time": ("Time", "Hora", "Heure"),
    "service": ("Service", "Servicio", "Service"),
    "other_party": ("Number", "Número", "Numéro"),
    "destination": ("Destination", "Destino", "Destination"),
    "included": ("Included", "Incluido", "Inclus"),
    "record_count": ("{count} records", "{count} registros", "{count} relevés"),
    # services that every operator has
    "service_voice": ("Calls", "Llamadas", "Appels"),
    "service_data": ("Data", "Datos", "Données"),
    "service_sms": ("Messages", "Mensajes", "Messages"),
    "service_mms": ("Picture messages", "Mensajes multimedia", "Messages multimédia"),
    "service_iot": ("Connected devices", "Dispositivos conectados", "Objets connectés"),
    "service_iptv": ("Television", "Televisión", "Télévision"),
    "service_broadband": ("Broadband", "Banda ancha", "Haut débit"),
    "service_content": ("Content", "Contenidos", "Contenus"),
    # units
    "unit_message": ("{count} messages", "{count} mensajes", "{count} messages"),
    "unit_one_message": ("{count} message", "{count} mensaje", "{count} message"),
    "unit_event": ("{count} events", "{count} eventos", "{count} événements"),
    "unit_one_event": ("{count} event", "{count} evento", "{count} événement"),
    # foot
    "page": ("Page {page} of {pages}", "Página {page} de {pages}", "Page {page} sur {pages}"),
    "tax_number_of_operator": ("Tax number {number}", "NIF {number}", "N° TVA {number}"),
    "questions": ("Questions?", "¿Preguntas?", "Des questions ?"),
}

WORDS: Mapping[str, Mapping[str, str]] = {
    language: {word: texts[place] for word, texts in _TABLE.items()} for place, language in enumerate(LANGUAGES)
}


def choose_language(*wanted: str | None) -> str:
    """The first wanted language that bills are written in ("es-MX" counts as "es"), else English."""
    for tag in wanted:
        language = (tag or "").replace("_", "-").partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"
