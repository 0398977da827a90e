"""Names and streets of invented people and firms, by country."""

GIVEN = {
    "ES": ("Lucía", "Hugo", "Martina", "Mateo", "Carmen", "Pablo", "Nerea", "Iker", "Alba", "Álvaro", "Inés", "Rubén"),
    "FR": ("Camille", "Louis", "Chloé", "Gabriel", "Élise", "Jules", "Manon", "Théo", "Zoé", "Étienne"),
    "PT": ("Beatriz", "Tiago", "Matilde", "João", "Inês", "Gonçalo", "Leonor", "Rui"),
}
FAMILY = {
    "ES": ("García", "Peña", "Muñoz", "Iglesias", "Ortega", "Núñez", "Vidal", "Serrano", "Castaño", "Ybarra", "Sáez"),
    "FR": ("Lefèvre", "Moreau", "Garnier", "Dubois", "Chevalier", "Rousseau", "Béranger", "Noël"),
    "PT": ("Almeida", "Conceição", "Simões", "Teixeira", "Magalhães", "Antunes"),
}
STREETS = {
    "ES": (
        ("Calle del Olmo", "28012 Madrid"),
        ("Carrer de Mallorca", "08036 Barcelona"),
        ("Calle Sierpes", "41004 Sevilla"),
    ),
    "ES-CN": (
        ("Calle Triana", "35002 Las Palmas de Gran Canaria"),
        ("Calle del Castillo", "38003 Santa Cruz de Tenerife"),
    ),
    "FR": (("rue des Tanneurs", "64100 Bayonne"), ("rue Saint-Michel", "66000 Perpignan")),
    "PT": (("Rua das Flores", "4050-265 Porto"), ("Avenida da Liberdade", "1250-096 Lisboa")),
    "US-CA": (("Alder Street", "San Jose, CA 95110"),),
}
TRADES = {
    "ES": ("Talleres", "Panadería", "Gestoría", "Bodegas", "Clínica", "Transportes", "Imprenta"),
    "FR": ("Boulangerie", "Ateliers", "Menuiserie", "Transports"),
    "PT": ("Oficina", "Padaria", "Vinhos"),
}
FORMS = {"ES": "S.L.", "FR": "SARL", "PT": "Lda."}
