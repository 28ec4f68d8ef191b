"""Sentences that fit into any report and bear on none: distractors."""

from __future__ import annotations

__all__ = ["FILLERS"]

FILLERS: tuple[str, ...] = (
    "A spokesman named {any_person} declined to comment on {any_day}.",
    "Local radio said the roads into {any_town} were busy all morning.",
    "The mayor of {any_town}, {any_person}, called a meeting for {any_day}.",
    "About {any_count} reporters gathered outside the town hall in {any_town}.",
    "{any_person}, a retired teacher from {any_town}, said she had heard the news on the radio.",
    "Visitors from {any_country} were among those who followed events.",
    "A full statement is expected on {any_date}.",
    "The town of {any_town} has about {any_thousands} inhabitants.",
    "The region earned {any_money} from tourism last year.",
    "Unemployment in the district stood at {any_percent} in {any_month}.",
    "Schools in {any_town} will open as usual on {any_day}.",
    "A survey in {any_month} found that {any_percent} of residents read the local paper.",
    "The story was first reported by a newspaper in {any_country}.",
    "Officials in {any_town} and {any_town2} said they had no further details.",
    "{any_person} of the regional council thanked the public for its patience.",
    "A similar story made headlines in {any_country} in {any_year}.",
    "The weather in {any_town} was dry, with a light wind from the west.",
    "Bus services between {any_town} and {any_town2} were running normally.",
    "Shares in {any_company} closed {any_percent} higher in quiet trading.",
    "The council has spent {any_money} on public buildings since {any_year}.",
    '"We will know more by {any_day}," said {any_person}, who lives in {any_town}.',
    '"I have never seen anything like it," said {any_person}, a shopkeeper.',
    '"It is far too early to say," {any_person} told a news conference.',
    '"People here talk of nothing else," said {any_person} in {any_town}.',
    "An online petition had gathered {any_thousands} signatures by {any_day}.",
    "The parish church in {any_town} dates from before {any_year}.",
    "The minister, {any_person}, was on a visit to {any_country} at the time.",
    "A hotline received {any_hundreds} calls within {any_small} hours.",
    "Traffic on the road to {any_town} was slow for {any_small} kilometres.",
    "The archive of {any_company} holds records going back to {any_year}.",
    "Prices in {any_country} rose by {any_percent} over the same period.",
    "The next regular briefing takes place in {any_town} on {any_date}.",
    "{any_person} wrote a book on the subject in {any_year}.",
    "A university in {any_country} is preparing a study of the matter.",
    "Television crews from {any_country} and {any_country2} arrived on {any_day}.",
    "The local museum counted {any_hundreds} visitors on an average day in {any_month}.",
)
