"""Elections, verdicts, thefts, football, rockets and archaeology."""

from __future__ import annotations

from wire_reports.event_kind import EventKind

__all__ = ["PUBLIC_LIFE_KINDS"]

ELECTION = EventKind(
    name="election",
    facts={
        "nation": "country", "winner": "person", "party": "party", "share": "percent",
        "loser": "person",
    },
    leads=(
        "Voters in {nation} have chosen a new president.",
        "The presidential election in {nation} ended with a clear result.",
        "Crowds celebrated through the night in {nation} after a presidential election.",
    ),
    details=(
        (
            "{winner} won the vote and will be sworn in next month.",
            "The winner, {winner}, promised to be a president for all.",
            "Victory went to {winner}, the election board said.",
        ),
        (
            "The new president belongs to the {party}.",
            "It is the first time the {party} has won the office.",
            "Supporters of the victorious {party} waved flags.",
        ),
        (
            "The winning side took {share} of the vote.",
            "With all ballots counted, the winner had {share}.",
        ),
        (
            "{loser} conceded defeat and wished the victor well.",
            "The beaten candidate, {loser}, accepted the result.",
            "{loser} came second and spoke of a bitter night.",
        ),
    ),
    asides=(
        "{any_person} of the {any_party} dropped out in {any_month}.",
        "Turnout was {any_percent}, higher than in {any_year}.",
        "The {any_party} lost seats in {any_town}.",
        "The president of {any_country} sent congratulations on {any_day}.",
        "Polls in {any_month} had put the {any_party} at {any_percent}.",
        "A recount in {any_town} changed {any_small} votes.",
        "{any_person} watched the count for observers from {any_country}.",
    ),
    summary=(
        "{winner} of the {party} has won the presidential election in {nation} with {share} of"
        " the vote, beating {loser}.",
    ),
)  # fmt: skip

VERDICT = EventKind(
    name="court_verdict",
    facts={
        "accused": "person", "court_town": "town", "offence": "crime", "years": "small",
        "verdict_day": "day",
    },
    leads=(
        "The trial of {accused} ended on {verdict_day} after weeks of evidence.",
        "There was silence in court on {verdict_day} as the verdict on {accused} was read out.",
        "Judges found {accused} guilty on {verdict_day}.",
    ),
    details=(
        (
            "The conviction was for {offence}.",
            "The jury was sure that it was a case of {offence}.",
            "The charge was {offence}, and the accused had denied it.",
        ),
        (
            "The sentence is {years} years in prison.",
            "The judge imposed a prison term of {years} years.",
            "It means {years} years behind bars.",
        ),
        (
            "The case was heard at the crown court in {court_town}.",
            "The court in {court_town} was guarded by police.",
            "Outside the courthouse in {court_town} a small crowd waited.",
        ),
    ),
    asides=(
        "Prosecutor {any_person} had asked for {any_small} years.",
        "A co-defendant, {any_person}, was cleared of {any_crime}.",
        "In {any_year} a court in {any_town} jailed {any_person} for {any_crime}.",
        "The defence lawyer, {any_person}, said an appeal would be lodged by {any_date}.",
        "The trial heard {any_count} witnesses, some from {any_country}.",
        "Police had searched a flat in {any_town} in {any_month}.",
    ),
    summary=(
        "A court in {court_town} on {verdict_day} sentenced {accused} to {years} years in prison"
        " for {offence}.",
    ),
)  # fmt: skip

THEFT = EventKind(
    name="museum_theft",
    facts={
        "museum_town": "town", "loot": "artwork", "value": "money", "theft_day": "day",
        "detective": "person",
    },
    leads=(
        "Thieves broke into the city museum in {museum_town} in the night to {theft_day}.",
        "The museum in {museum_town} stayed shut on {theft_day} after a break-in.",
        "A guard at the museum in {museum_town} found an empty case on {theft_day}.",
    ),
    details=(
        (
            "They escaped with {loot}.",
            "The stolen piece is {loot} from the main hall.",
            "Missing is {loot}, the pride of the collection.",
        ),
        (
            "It is insured for {value}.",
            "The director put its value at {value}.",
            "On the market it would fetch {value}.",
        ),
        (
            "The inquiry is led by inspector {detective}.",
            "Inspector {detective} is in charge of the case.",
            "\"They knew what they wanted,\" said inspector {detective}.",
        ),
    ),
    asides=(
        "In {any_year} thieves took {any_artwork} from a gallery in {any_town}.",
        "The thieves left behind {any_artwork} worth {any_money}.",
        "The museum had received {any_artwork} as a gift from {any_person}.",
        "A white van was seen near {any_town} on {any_day}.",
        "Police in {any_country} have been informed.",
        "The alarm had been out of order for {any_small} days.",
        "The museum opened in {any_year} and owns {any_thousands} objects.",
    ),
    summary=(
        "Thieves stole {loot} worth {value} from the museum in {museum_town} on {theft_day}.",
        "Inspector {detective} is leading the inquiry.",
    ),
)  # fmt: skip

FOOTBALL = EventKind(
    name="football_match",
    facts={
        "champions": "club", "beaten": "club", "result": "score", "scorer": "person",
        "minute": "minute", "crowd": "thousands",
    },
    leads=(
        "{champions} beat {beaten} in the cup after an open match.",
        "A lively cup tie ended with a win for {champions} over {beaten}.",
        "{beaten} are out of the cup after a defeat by {champions}.",
    ),
    details=(
        (
            "The final score was {result}.",
            "It ended {result}.",
            "At the whistle the board read {result}.",
        ),
        (
            "{scorer} scored the decisive goal in minute {minute}.",
            "The goal that settled it came from {scorer} in minute {minute}.",
            "In minute {minute}, {scorer} struck the winner from close range.",
        ),
        (
            "A crowd of {crowd} watched the game.",
            "The attendance was {crowd}.",
            "In the stands {crowd} spectators sang until the end.",
        ),
    ),
    asides=(
        "{any_person} was sent off in minute {any_minute}.",
        "{any_club} drew with {any_club2} in front of {any_thousands} fans.",
        "The last meeting of the two sides ended {any_score} in {any_year}.",
        "Coach {any_person} praised his defence.",
        "{any_person} missed a penalty in minute {any_minute}.",
        "{any_club} won {any_score} at {any_town} on {any_day}.",
        "The next round will be played on {any_date}.",
    ),
    summary=(
        "{champions} beat {beaten} {result} in the cup before a crowd of {crowd}.",
        "{scorer} scored the decisive goal in minute {minute}.",
    ),
)  # fmt: skip

LAUNCH = EventKind(
    name="rocket_launch",
    facts={
        "launcher": "company", "base_country": "country", "cargo": "payload", "launch_date": "date",
        "budget": "money",
    },
    leads=(
        "A rocket built by {launcher} rose into a clear sky on {launch_date}.",
        "{launcher} sent a rocket into space on {launch_date} after two delays.",
        "Cheers broke out in the control room of {launcher} on {launch_date} after a lift-off.",
    ),
    details=(
        (
            "It carried {cargo} into orbit.",
            "On board was {cargo}, which sent its first signal an hour later.",
            "The rocket released {cargo} as planned.",
        ),
        (
            "The launch site lies on the coast of {base_country}.",
            "It took off from a base in {base_country}.",
            "The pad in {base_country} was built for heavy rockets.",
        ),
        (
            "The mission costs {budget}.",
            "The budget of the mission is {budget}.",
            "Taxpayers and partners spent {budget} on the flight.",
        ),
    ),
    asides=(
        "A rocket with {any_payload} exploded over {any_country} in {any_year}.",
        "{any_company} wants to launch {any_payload} on {any_date}.",
        "The flight director, {any_person}, spoke of a perfect day.",
        "The rocket weighs {any_hundreds} tonnes.",
        "{any_country} has ordered {any_small} flights for {any_money}.",
        "{any_payload} built in {any_town} will follow in {any_month}.",
        "The countdown had been stopped on {any_day} because of high winds.",
    ),
    summary=(
        "{launcher} launched a rocket with {cargo} from {base_country} on {launch_date} in a"
        " mission that costs {budget}.",
    ),
)  # fmt: skip

EXCAVATION = EventKind(
    name="archaeological_find",
    facts={
        "dig_town": "town", "relic": "relic", "digger": "person", "age": "thousands",
        "coins": "hundreds",
    },
    leads=(
        "Archaeologists at work near {dig_town} have made a rare find.",
        "A field near {dig_town} has given up a secret kept for centuries.",
        "Builders of a new road near {dig_town} stopped work when old walls came to light.",
    ),
    details=(
        (
            "The team uncovered {relic}.",
            "Under the soil lay {relic} in good condition.",
            "The remains are those of {relic}, experts agree.",
        ),
        (
            "The excavation is directed by {digger}.",
            "\"It is the find of a lifetime,\" said {digger}, who leads the dig.",
            "{digger}, the head of the team, spoke of a great surprise.",
        ),
        (
            "It is thought to be {age} years old.",
            "Laboratory tests gave an age of {age} years.",
        ),
        (
            "The diggers also picked up {coins} coins.",
            "A pot held {coins} coins.",
        ),
    ),
    asides=(
        "In {any_year}, {any_relic} was found near {any_town}.",
        "{any_person} of the museum in {any_town} was not involved.",
        "The work is paid for by {any_company} with {any_money}.",
        "The site will be open to visitors on {any_date}.",
        "A hoard of {any_hundreds} coins turned up in {any_country} in {any_month}.",
        "The oldest house in {any_town} is {any_hundreds} years old.",
        "{any_person}, a farmer, had ploughed the field for {any_count} years.",
    ),
    summary=(
        "Archaeologists led by {digger} have found {relic} near {dig_town} that is {age} years"
        " old, along with {coins} coins.",
    ),
)  # fmt: skip

PUBLIC_LIFE_KINDS: tuple[EventKind, ...] = (
    ELECTION, VERDICT, THEFT, FOOTBALL, LAUNCH, EXCAVATION,
)  # fmt: skip
