// A report of the kind that the demo checkpoints were trained on: made up, like all of it.

export const EXAMPLE = `A strong earthquake shook the area around Sandwick early on Tuesday. An aftershock of magnitude 5.1 was felt as far away as Settle. An earthquake of magnitude 5.7 near Selby killed 86 in 2005. The injured numbered 370, many of them with broken bones. Bus services between Thirsk and Granby were running normally. The region earned $670 million from tourism last year. Officials confirmed that the quake had killed 75 people. The tremor had a magnitude of 4.5, the geological institute said.`;

export const QUESTION = "How many people did the quake kill?";
