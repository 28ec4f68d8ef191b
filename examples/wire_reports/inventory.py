"""The values that reports are filled with: names, places, figures, dates.

Both the training and the held-out reports draw from these lists: a held-out report is new as a
combination, its single names are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

__all__ = ["VALUE_TYPES", "draw_value"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """Maria James Elena Peter Anna Victor Laura Simon Helen Oscar Nadia Martin Clara Felix Irene
    Daniel Sofia Robert Ingrid Thomas Amara David Lucia Henrik Priya Samuel Greta Marcus Leila
    Arthur Rosa Julian Hana Edward Carmen Philip Alma Gregor Naomi Walter Tessa Adrian Olga
    Leon Judith Hugo Miriam Conrad Petra Ivan"""
)
SURNAMES = _words(
    """Holt Brandt Keller Moreno Lindgren Okafor Walsh Petrov Haines Castell Novak Doyle Farrow
    Santos Whitlock Iversen Marsh Tanaka Reyes Ashby Kovacs Lambert Quinn Osei Barlow Fischer
    Mercer Duarte Hollis Sandoval Pryce Nilsen Ortega Blake Vance Rowe Mbeki Carver Dalton Ferris
    Grieve Hughes Janssen Kaplan Larkin Meyer Norris Palmer Ramos Sutter Thorne Ulrich Vargas
    Weaver Yates Zeller Abbott Burke Crane Drummond Ellis Foster Gupta Hayden Irwin Jarvis Kemp
    Lowry Madsen Nash Olsen Pike Rossi Stroud Tully Varga Winslow Young Bishop Cole"""
)
TOWNS = _words(
    """Marlow Ashford Brenton Calder Dunmore Elston Farley Granby Halden Ilford Jarrow Kelso Linden
    Melrose Norwood Oakham Penrith Redhill Selby Tarland Upton Verwood Wexford Yarrow Alder
    Belmont Corby Darwen Eastham Felton Gorton Hexham Ivybridge Kendal Larne Morley Newbury Otley
    Poole Ripley Stanmore Thirsk Ulster Walden Whitby Arden Bexley Clifton Denholm Evesham Forfar
    Glossop Harlow Kirkby Lanark Moffat Nairn Oban Preston Royston Settle Tiverton Winton
    Barrow Camden Dover Epsom Fulham Grafton Hadley Keswick Lorne Milton Neston Orwell Paisley
    Raven Sandwick Torrin Vernon Welby Bristow Cardew Durham Exmoor Girvan Holm Kilbride
    Leyton Mallow Norden Perth Rothes Stroma Tain Waverley Zennor"""
)
COUNTRIES = _words(
    """Norway Chile Portugal Kenya Canada Japan Peru Greece Ireland Poland Mexico Ghana Finland
    Austria Jordan Vietnam Denmark Brazil Spain Turkey Iceland Sweden Morocco Italy India Hungary
    Estonia Croatia Belgium Malaysia"""
)
COMPANY_STEMS = _words(
    """Aldane Borealis Corvex Deltora Everline Fairmont Glenrock Harrow Intrex Juniper Kestrel
    Lumen Meridian Northgate Orbis Pinnacle Quantix Riverton Summit Trident Unison Vantage
    Westbrook Xenon Zephyr Argent Beacon Cobalt Dynamo Emerald Falcon Granite Horizon Ironwood
    Keystone Lantern Magnet Nimbus Onyx Paragon"""
)
COMPANY_SUFFIXES = _words(
    """Motors Foods Energy Steel Pharma Airlines Bank Systems Chemicals Retail Textiles Logistics
    Telecom Robotics Paper"""
)
CLUB_SUFFIXES = ("United", "City", "Rovers", "Athletic", "Wanderers", "Town")
PARTIES = (
    "Liberal Alliance", "National Party", "Green Union", "Labour Front", "Reform Movement",
    "Civic Coalition", "Farmers League", "Unity Party", "Centre Bloc", "Progress Party",
)  # fmt: skip
PRODUCTS = (
    "electric kettles", "baby strollers", "phone chargers", "frozen pizzas", "mountain bikes",
    "hair dryers", "car seats", "garden heaters", "cheese spreads", "toy robots", "power drills",
    "rice cookers", "step ladders", "breakfast cereals", "camping stoves", "smoke alarms",
)  # fmt: skip
HAZARDS = (
    "a fire risk", "a choking hazard", "loose screws", "faulty wiring", "possible salmonella",
    "a cracked handle", "overheating batteries", "pieces of glass", "a weak brake",
    "sharp edges", "a mislabelled allergen", "leaking gas",
)  # fmt: skip
GOODS = (
    "electric buses", "solar panels", "wind turbines", "medical syringes", "car batteries",
    "microchips", "fertiliser", "insulation boards", "tram carriages", "bottled water",
    "running shoes", "heat pumps", "tractor engines", "wooden furniture",
)  # fmt: skip
WORKERS = (
    "bus drivers", "nurses", "dock workers", "teachers", "miners", "airport staff",
    "postal workers", "rail guards", "steel workers", "refuse collectors", "ferry crews",
    "hotel cleaners",
)  # fmt: skip
CRIMES = (
    "fraud", "arson", "bribery", "manslaughter", "tax evasion", "smuggling", "forgery",
    "embezzlement", "kidnapping", "armed robbery", "money laundering", "blackmail",
)  # fmt: skip
ARTWORKS = (
    "a bronze statue", "a gold crown", "a silver chalice", "a jade mask", "an ivory chess set",
    "a marble bust", "a rare manuscript", "a pearl necklace", "an oil portrait", "a stamp album",
    "a jewelled dagger", "a porcelain vase",
)  # fmt: skip
RELICS = (
    "a Roman bath", "a burial ship", "a stone temple", "a Viking hoard", "a mosaic floor",
    "a bronze workshop", "a walled village", "a royal tomb", "a pottery kiln", "a wooden bridge",
    "a granary", "an amphitheatre",
)  # fmt: skip
PAYLOADS = (
    "a weather satellite", "a lunar probe", "a space telescope", "a cargo capsule",
    "a navigation satellite", "an ocean radar", "a broadband satellite", "a comet lander",
    "a solar observatory", "a spy satellite",
)  # fmt: skip
STORM_NAMES = _words(
    """Agnes Boris Ciara Dudley Eunice Franklin Gareth Hector Isla Jocelyn Kathleen Lilian Malik
    Noa Otto Pia Ruby Silvio Tamara Ursula"""
)
CAUSES = (
    "a broken rail", "a landslide", "a signal fault", "excessive speed", "a fallen tree",
    "a brake failure", "a buckled track", "a stray cow", "a lorry on the line", "thick ice",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def _thousands(rng: Random) -> str:
    return f"{rng.randint(1, 98)},{rng.choice('0123456789')}00"


def _money(rng: Random) -> str:
    if rng.random() < 0.5:
        return f"${rng.randint(1, 9)}.{rng.randint(1, 9)} billion"
    return f"${rng.randint(2, 99) * 10} million"


def _score(rng: Random) -> str:
    losing = rng.randint(0, 3)
    return f"{rng.randint(losing + 1, losing + 3)}-{losing}"


def _rate(rng: Random) -> str:
    whole, quarter = rng.randint(0, 9), rng.choice(("25", "5", "75"))
    return f"{whole}.{quarter} percent"


def _one_of(values: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda rng: rng.choice(values)


def _between(low: int, high: int, step: int = 1) -> Callable[[Random], str]:
    return lambda rng: str(rng.randrange(low, high + 1, step))


VALUE_TYPES: Mapping[str, Callable[[Random], str]] = {
    "town": _one_of(TOWNS),
    "country": _one_of(COUNTRIES),
    "person": lambda rng: f"{rng.choice(FIRST_NAMES)} {rng.choice(SURNAMES)}",
    "company": lambda rng: f"{rng.choice(COMPANY_STEMS)} {rng.choice(COMPANY_SUFFIXES)}",
    "club": lambda rng: f"{rng.choice(TOWNS)} {rng.choice(CLUB_SUFFIXES)}",
    "party": _one_of(PARTIES),
    "product": _one_of(PRODUCTS),
    "hazard": _one_of(HAZARDS),
    "goods": _one_of(GOODS),
    "workers": _one_of(WORKERS),
    "crime": _one_of(CRIMES),
    "artwork": _one_of(ARTWORKS),
    "relic": _one_of(RELICS),
    "payload": _one_of(PAYLOADS),
    "storm": _one_of(STORM_NAMES),
    "cause": _one_of(CAUSES),
    "day": _one_of(DAYS),
    "date": lambda rng: f"{rng.randint(1, 28)} {rng.choice(MONTHS)}",
    "month": _one_of(MONTHS),
    "year": _between(1951, 2024),
    "small": _between(2, 19),
    "count": _between(12, 99),
    "hundreds": _between(110, 990, 10),
    "thousands": _thousands,
    "money": _money,
    "score": _score,
    "rate": _rate,
    "percent": lambda rng: f"{rng.randint(2, 68)} percent",
    "magnitude": lambda rng: f"{rng.randint(4, 7)}.{rng.randint(0, 9)}",
    "minute": _between(3, 89),
}


def draw_value(value_type: str, rng: Random, taken: frozenset[str] = frozenset()) -> str:
    """A value of ``value_type`` that is none of ``taken``; ``KeyError`` for an unknown type."""
    draw = VALUE_TYPES[value_type]
    value = draw(rng)
    while value in taken:
        value = draw(rng)
    return value
