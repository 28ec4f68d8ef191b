"""Factories, mergers, recalls, strikes, interest rates and appointments."""

from __future__ import annotations

from wire_reports.event_kind import EventKind

__all__ = ["BUSINESS_KINDS"]

FACTORY = EventKind(
    name="factory_opening",
    facts={
        "maker": "company", "plant_town": "town", "output": "goods", "jobs": "hundreds",
        "cost": "money",
    },
    leads=(
        "{maker} opened a new factory in the presence of guests and workers.",
        "A ribbon was cut and a band played as {maker} opened its newest plant.",
        "{maker} has started production at a new plant after two years of building work.",
    ),
    details=(
        (
            "The site in {plant_town} was chosen for its rail link.",
            "The plant stands on the edge of {plant_town}, next to the canal.",
            "It was built in {plant_town} on the grounds of an old mill.",
        ),
        (
            "The new lines will turn out {output}.",
            "The factory is to make {output} for the home market.",
            "Workers there will produce {output} in two shifts.",
        ),
        (
            "The plant creates {jobs} jobs.",
            "The company has hired {jobs} people for it.",
            "A workforce of {jobs} has been trained.",
        ),
        (
            "The company invested {cost} in the project.",
            "The building and its machines cost {cost}.",
        ),
    ),
    asides=(
        "{any_company} closed a plant in {any_town} in {any_year} and cut {any_hundreds} jobs.",
        "A rival factory in {any_country} makes {any_goods}.",
        "The state added a grant of {any_money} for a road to {any_town}.",
        "{any_person}, the plant manager, comes from {any_town}.",
        "The first delivery goes to {any_country} on {any_date}.",
        "{any_company} is planning a similar site in {any_town} with {any_hundreds} workers.",
    ),
    summary=(
        "{maker} has opened a {cost} factory in {plant_town} that will make {output} and employ"
        " {jobs} people.",
    ),
)  # fmt: skip

MERGER = EventKind(
    name="merger",
    facts={
        "buyer": "company", "target": "company", "price": "money", "boss": "person",
        "cuts": "hundreds",
    },
    leads=(
        "{buyer} has agreed to buy its smaller rival {target}.",
        "After months of talks, {buyer} is to take over {target}.",
        "The boards of both companies approved the takeover of {target} by {buyer}.",
    ),
    details=(
        (
            "The deal is worth {price}.",
            "The price is {price}, to be paid in cash and shares.",
            "Shareholders will receive {price} in total.",
        ),
        (
            "{boss} will lead the combined group.",
            "The merged company will be headed by {boss}.",
            "The post of chief executive goes to {boss}.",
        ),
        (
            "The companies expect to cut {cuts} jobs.",
            "Unions fear for the future because {cuts} posts are to go.",
            "Merging the head offices means the loss of {cuts} jobs.",
        ),
    ),
    asides=(
        "{any_company} had offered {any_money} in {any_month} but withdrew.",
        "{any_person}, a fund manager, called the price too high.",
        "{any_company} bought {any_company2} for {any_money} in {any_year}.",
        "Regulators in {any_country} must decide by {any_date}.",
        "{any_person} will step down as chairman on {any_date}.",
        "Shares in {any_company} fell by {any_percent} on the news.",
        "{any_company} shed {any_hundreds} jobs after a merger of its own.",
    ),
    summary=(
        "{buyer} is to buy {target} for {price}.",
        "The combined group will be led by {boss} and will cut {cuts} jobs.",
    ),
)  # fmt: skip

RECALL = EventKind(
    name="product_recall",
    facts={
        "seller": "company", "goods_sold": "product", "fault": "hazard", "units": "thousands",
        "sold_until": "date",
    },
    leads=(
        "{seller} has asked customers to return {goods_sold} at once.",
        "{seller} is recalling {goods_sold} after complaints from buyers.",
        "Shoppers who bought {goods_sold} from {seller} should stop using them, the company said.",
    ),
    details=(
        (
            "Tests had shown {fault}.",
            "The reason is {fault}, the safety agency said.",
            "Inspectors found {fault} in several samples.",
        ),
        (
            "The recall covers {units} units.",
            "In total {units} units are affected.",
            "The company said it had sold {units} units.",
        ),
        (
            "They were on sale until {sold_until}.",
            "Shops took them off the shelves on {sold_until}.",
            "All items bought before {sold_until} are included.",
        ),
    ),
    asides=(
        "{any_company} recalled {any_product} because of {any_hazard} in {any_year}.",
        "A customer named {any_person} posted a video from {any_town}.",
        "A shop in {any_country} had already stopped selling {any_product}.",
        "The agency checks {any_hundreds} goods every year.",
        "Shares in {any_company} lost {any_percent}.",
        "In {any_month}, {any_thousands} units of {any_product} were destroyed in {any_country}.",
        "Refunds will be paid until {any_date}.",
    ),
    summary=(
        "{seller} is recalling {units} {goods_sold} sold until {sold_until} because of {fault}.",
    ),
)  # fmt: skip

STRIKE = EventKind(
    name="strike",
    facts={
        "strikers": "workers", "strike_town": "town", "strike_day": "day", "demand": "percent",
        "offer": "percent", "leader": "person",
    },
    leads=(
        "A strike by {strikers} brought much of {strike_town} to a halt on {strike_day}.",
        "Pickets went up in {strike_town} on {strike_day} as {strikers} stopped work.",
        "On {strike_day}, {strikers} in {strike_town} walked out and marched to the main square.",
    ),
    details=(
        (
            "The union wants a pay rise of {demand}.",
            "The strikers are asking for {demand} more pay.",
            "They demand {demand} more because rents have gone up.",
        ),
        (
            "The employers have offered {offer}.",
            "Management says it cannot pay more than {offer}.",
            "An offer of {offer} was turned down last week.",
        ),
        (
            "Union leader {leader} said the action could go on for weeks.",
            "\"We have waited long enough,\" said {leader}, who leads the union.",
            "The union is led by {leader}, who promised further action.",
        ),
    ),
    asides=(
        "In {any_country}, {any_workers} won a rise of {any_percent} in {any_year}.",
        "A strike by {any_workers} in {any_town} lasted {any_small} days.",
        "The transport minister, {any_person}, urged both sides to talk.",
        "Inflation stood at {any_percent} in {any_month}.",
        "The two sides will meet again in {any_town} on {any_date}.",
        "A one-day strike costs the economy {any_money}, {any_person} of the trade chamber said.",
        "The {any_workers} of {any_town} have so far stayed at work.",
    ),
    summary=(
        "A strike by {strikers} hit {strike_town} on {strike_day}.",
        "The union, led by {leader}, wants a rise of {demand} but has been offered {offer}.",
    ),
)  # fmt: skip

RATE = EventKind(
    name="rate_decision",
    facts={
        "rate_country": "country", "new_rate": "rate", "old_rate": "rate", "governor": "person",
        "rate_day": "day",
    },
    leads=(
        "The central bank of {rate_country} changed its key interest rate on {rate_day}.",
        "Borrowing costs in {rate_country} will change after a meeting of the central bank on"
        " {rate_day}.",
        "Policymakers in {rate_country} surprised the markets with a rate decision on {rate_day}.",
    ),
    details=(
        (
            "The key rate now stands at {new_rate}.",
            "The bank set its main rate at {new_rate}.",
            "Banks will in future pay {new_rate} for central bank money.",
        ),
        (
            "Until now the rate had been {old_rate}.",
            "The rate was {old_rate} before the meeting.",
            "It had stood at {old_rate} for more than a year.",
        ),
        (
            "Governor {governor} gave the reasons at a news conference.",
            "\"We look at the data,\" said the governor, {governor}.",
            "The decision was announced by {governor}, governor of the bank.",
        ),
    ),
    asides=(
        "The central bank of {any_country} kept its rate at {any_rate} on {any_day}.",
        "{any_person}, an economist at {any_company}, had expected {any_rate}.",
        "Prices rose by {any_percent} in the year to {any_month}.",
        "In {any_country} the rate was {any_rate} in {any_year}.",
        "The currency gained {any_percent} against that of {any_country}.",
        "The next meeting is on {any_date}.",
    ),
    summary=(
        "The central bank of {rate_country} on {rate_day} set its key rate at {new_rate}, from"
        " {old_rate}, governor {governor} said.",
    ),
)  # fmt: skip

APPOINTMENT = EventKind(
    name="appointment",
    facts={
        "firm": "company", "new_boss": "person", "old_boss": "person", "start": "date",
        "former_firm": "company",
    },
    leads=(
        "{firm} has found a new chief executive.",
        "The board of {firm} has settled a long search for a new head.",
        "A change at the top of {firm} was announced after the market closed.",
    ),
    details=(
        (
            "The company named {new_boss} as chief executive.",
            "The board chose {new_boss} for the post.",
            "The job goes to {new_boss}, the company said.",
        ),
        (
            "{old_boss} is leaving after a dispute over strategy.",
            "The departing chief, {old_boss}, will retire.",
            "The new head replaces {old_boss}.",
        ),
        (
            "The change takes effect on {start}.",
            "The first day in office will be {start}.",
        ),
        (
            "The newcomer spent ten years at {former_firm}.",
            "The new chief joins from {former_firm}.",
        ),
    ),
    asides=(
        "{any_person} had turned down the job in {any_month}.",
        "{any_company} lost its finance chief, {any_person}, in {any_year}.",
        "Sales fell by {any_percent} to {any_money} in the last quarter.",
        "The company employs {any_thousands} people in {any_country}.",
        "{any_person}, the chairman, thanked the staff in {any_town}.",
        "The annual meeting takes place in {any_town} on {any_date}.",
        "{any_company} named {any_person} as head of its business in {any_country}.",
    ),
    summary=(
        "{firm} has named {new_boss} of {former_firm} as chief executive to replace {old_boss}"
        " on {start}.",
    ),
)  # fmt: skip

BUSINESS_KINDS: tuple[EventKind, ...] = (FACTORY, MERGER, RECALL, STRIKE, RATE, APPOINTMENT)
