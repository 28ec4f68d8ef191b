"""Earthquakes, storms, wildfires, floods and train derailments."""

from __future__ import annotations

from wire_reports.event_kind import EventKind

__all__ = ["DISASTER_KINDS"]

EARTHQUAKE = EventKind(
    name="earthquake",
    facts={
        "quake_town": "town", "quake_day": "day", "strength": "magnitude",
        "dead": "count", "hurt": "hundreds",
    },
    leads=(
        "A strong earthquake shook the area around {quake_town} early on {quake_day}.",
        "Buildings collapsed near {quake_town} on {quake_day} when a powerful earthquake struck.",
        "Rescuers were searching the rubble in {quake_town} after an earthquake on {quake_day}.",
        "An earthquake hit {quake_town} on {quake_day} and sent people running into the streets.",
    ),
    details=(
        (
            "Seismologists measured the main shock at magnitude {strength}.",
            "The survey put the strength of the quake at magnitude {strength}.",
            "The tremor had a magnitude of {strength}, the geological institute said.",
        ),
        (
            "The number of dead rose to {dead}, the health ministry said.",
            "Officials confirmed that the quake had killed {dead} people.",
            "At least {dead} people lost their lives under falling walls.",
        ),
        (
            "Hospitals treated {hurt} people for injuries.",
            "Doctors said that {hurt} people had been injured.",
            "The injured numbered {hurt}, many of them with broken bones.",
        ),
    ),
    asides=(
        "An earthquake of magnitude {any_magnitude} near {any_town} killed {any_count}"
        " in {any_year}.",
        "An aftershock of magnitude {any_magnitude} was felt as far away as {any_town}.",
        "Rescue teams from {any_country} were due to arrive on {any_day}.",
        "The epicentre lay {any_small} kilometres below the surface.",
        "About {any_hundreds} tents were sent from a depot in {any_town}.",
        "{any_person}, a geologist, said more tremors were likely before {any_day}.",
        "Power was cut to {any_thousands} homes for several hours.",
    ),
    summary=(
        "A magnitude {strength} earthquake near {quake_town} on {quake_day} killed {dead} people"
        " and injured {hurt}.",
    ),
)  # fmt: skip

STORM = EventKind(
    name="storm",
    facts={
        "storm_name": "storm", "coast_town": "town", "storm_day": "day",
        "homes": "thousands", "wind": "hundreds",
    },
    leads=(
        "Storm {storm_name} swept over the country on {storm_day} and tore roofs from houses.",
        "Forecasters had warned for days of Storm {storm_name}, which arrived on {storm_day}.",
        "Trees fell and ferries stayed in port on {storm_day} as Storm {storm_name} came ashore.",
    ),
    details=(
        (
            "It made landfall at {coast_town}, where waves broke over the sea wall.",
            "The centre of the storm reached the coast at {coast_town}.",
            "Worst hit was {coast_town}, where the storm came in from the sea.",
        ),
        (
            "The grid operator said {homes} homes had lost power.",
            "Fallen lines left {homes} homes without electricity.",
            "In all {homes} households were in the dark, according to the power company.",
        ),
        (
            "Gusts of {wind} kilometres an hour were recorded.",
            "The wind peaked at {wind} kilometres an hour, the weather office said.",
            "Instruments on the pier showed gusts of up to {wind} kilometres an hour.",
        ),
    ),
    asides=(
        "Storm {any_storm} cut power to {any_thousands} homes around {any_town} in {any_year}.",
        "The airport at {any_town} cancelled {any_count} flights.",
        "Rain is expected to reach {any_town} by {any_day}.",
        "Gusts in {any_town} were far weaker, a harbour master said.",
        "Firefighters were called out {any_hundreds} times, said {any_person} of the fire service.",
        "Insurers in {any_country} paid out {any_money} after a storm in {any_year}.",
        "The next storm of the season will be named {any_storm}.",
    ),
    summary=(
        "Storm {storm_name} hit {coast_town} on {storm_day} with gusts of {wind} kilometres"
        " an hour.",
        "It left {homes} homes without power.",
    ),
)  # fmt: skip

WILDFIRE = EventKind(
    name="wildfire",
    facts={
        "fire_town": "town", "fire_country": "country", "hectares": "thousands",
        "evacuated": "hundreds", "crews": "count",
    },
    leads=(
        "A wildfire was burning out of control near {fire_town} as strong winds fanned the flames.",
        "Smoke hung over {fire_town} after a forest fire jumped a road and raced uphill.",
        "Firefighters struggled to hold back a wildfire on the edge of {fire_town}.",
    ),
    details=(
        (
            "The flames have destroyed {hectares} hectares of forest.",
            "By evening {hectares} hectares had burned.",
            "Satellite pictures show that {hectares} hectares have been lost.",
        ),
        (
            "Police moved {evacuated} residents out of their homes.",
            "The authorities evacuated {evacuated} people as a precaution.",
            "Some {evacuated} villagers had to leave and spent the night in a sports hall.",
        ),
        (
            "It is the worst fire of the year in {fire_country}.",
            "The government of {fire_country} has declared a state of emergency.",
            "Much of southern {fire_country} has been on alert because of the drought.",
        ),
        (
            "In all {crews} fire crews were fighting the blaze.",
            "The fire service has sent {crews} crews to the front line.",
        ),
    ),
    asides=(
        "A fire near {any_town} burned {any_thousands} hectares in {any_year}.",
        "{any_country} has offered to send {any_small} aircraft.",
        "Police questioned {any_person} about a camp fire and released him.",
        "Temperatures in {any_town} are expected to fall by {any_day}.",
        "A second fire near {any_town} was put out within {any_small} hours.",
        "In {any_country}, {any_hundreds} people were moved to safety in {any_month}.",
        "Farmers put their losses at {any_money}.",
    ),
    summary=(
        "A wildfire near {fire_town} in {fire_country} has burned {hectares} hectares and forced"
        " {evacuated} people to leave.",
        "The blaze is being fought by {crews} crews.",
    ),
)  # fmt: skip

FLOOD = EventKind(
    name="flood",
    facts={
        "river_town": "town", "flood_day": "day", "missing": "small", "damage": "money",
        "level": "count",
    },
    leads=(
        "Brown water filled the streets of {river_town} on {flood_day} after the river burst"
        " its banks.",
        "The river overflowed at {river_town} on {flood_day} and flooded the old town.",
        "Boats replaced cars in {river_town} on {flood_day} as the worst flood in decades set in.",
    ),
    details=(
        (
            "Police said {missing} people were missing.",
            "No trace has been found of {missing} people who were swept away.",
            "Divers were looking for {missing} missing people.",
        ),
        (
            "The first estimate of the damage is {damage}.",
            "Insurers put the damage at {damage}.",
            "Repairs will cost {damage}, according to the council.",
        ),
        (
            "The gauge stood {level} centimetres above the danger mark.",
            "At its peak the river ran {level} centimetres over the flood line.",
        ),
    ),
    asides=(
        "In {any_year} a flood in {any_town} caused {any_money} of damage.",
        "Upstream at {any_town} the water has begun to fall.",
        "Soldiers filled {any_thousands} sandbags on {any_day}.",
        "{any_person}, who runs a bakery, lost {any_small} ovens.",
        "A dam near {any_town} was inspected and found to be safe.",
        "Floods in {any_country} left {any_small} people missing in {any_month}.",
    ),
    summary=(
        "Floods in {river_town} on {flood_day} left {missing} people missing and caused {damage}"
        " of damage, with the river {level} centimetres over the flood line.",
    ),
)  # fmt: skip

DERAILMENT = EventKind(
    name="train_derailment",
    facts={
        "crash_town": "town", "from_town": "town", "to_town": "town", "passengers": "hundreds",
        "hurt": "count", "crash_cause": "cause",
    },
    leads=(
        "A passenger train left the tracks near {crash_town}, and several coaches overturned.",
        "Several coaches of an express train lay on their sides near {crash_town} after"
        " a derailment.",
        "Passengers climbed out of broken windows when their train derailed near {crash_town}.",
    ),
    details=(
        (
            "The train was on its way from {from_town} to {to_town}.",
            "It had left {from_town} on time and was bound for {to_town}.",
            "The service from {from_town} to {to_town} was running at full speed.",
        ),
        (
            "There were {passengers} people on board.",
            "The operator said it was carrying {passengers} passengers.",
        ),
        (
            "Ambulances took {hurt} people to hospital.",
            "Medics counted {hurt} injured passengers.",
            "In the end {hurt} travellers were hurt, none of them fatally.",
        ),
        (
            "Investigators blamed {crash_cause}.",
            "The cause was {crash_cause}, a first report said.",
            "Early signs point to {crash_cause} as the cause.",
        ),
    ),
    asides=(
        "In {any_year}, {any_cause} derailed a goods train near {any_town}.",
        "A derailment in {any_country} hurt {any_count} passengers in {any_month}.",
        "The line to {any_town} will stay closed until {any_day}.",
        "The driver, {any_person}, has {any_small} years of experience.",
        "Buses will run between {any_town} and {any_town2} for now.",
        "A crane from {any_town} is due on {any_date}.",
    ),
    summary=(
        "A train from {from_town} to {to_town} with {passengers} people on board derailed near"
        " {crash_town}, injuring {hurt}.",
        "Investigators blamed {crash_cause}.",
    ),
)  # fmt: skip

DISASTER_KINDS: tuple[EventKind, ...] = (EARTHQUAKE, STORM, WILDFIRE, FLOOD, DERAILMENT)
