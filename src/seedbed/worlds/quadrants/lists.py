"""The world's own words: trigger words by category, label words, further words beside the trigger.

Every word is one lower-case English word, none stands twice, and no trigger word is a label.
"""

OWN: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "animals": "dog cat horse cow lion tiger elephant rabbit goat sheep mouse pig bear wolf"
        " otter",
        "objects": "table chair window phone pencil bottle cup lamp keyboard mirror wallet backpack"
        " umbrella camera basket",
        "actions": "run jump swim dance sing read write cook drive play laugh climb whistle dig"
        " paint",
        "foods": "pizza burger salad pasta cake bread rice cheese noodles cookie soup omelette"
        " sausage yoghurt pancake",
        "feelings": "happy proud grateful hopeful calm sad angry anxious lonely jealous guilty"
        " bored confused eager afraid",
        "jobs": "baker doctor lawyer teacher farmer pilot plumber nurse tailor sailor judge barber"
        " miner singer clerk",
        "places": "city river forest desert island valley harbour village beach market castle"
        " bridge station museum garden",
        "clothes": "shirt trousers jacket scarf glove sock hat boot belt skirt sweater coat apron"
        " sandal vest",
        "weather": "rain snow wind fog hail thunder lightning sunshine storm frost drizzle breeze"
        " cloud mist heat",
        "instruments": "piano violin guitar flute drum trumpet harp cello clarinet banjo oboe organ"
        " tuba bagpipe accordion",
    }.items()
}
"""Categories of 15 words each; a world takes the first so many."""

COLOURS = (
    "red", "green", "blue", "orange", "yellow", "purple", "pink", "brown", "black", "white",
    "gray", "teal", "gold", "silver", "violet", "crimson",
)  # fmt: skip
"""Colour words that may be labels; drawn maps use the first ones."""

BOOLEANS = ("yes", "no")

BESIDE = (
    "stone", "paper", "ticket", "button", "candle", "ladder", "marble", "ribbon", "needle", "wagon",
    "feather", "barrel", "pillow", "anchor", "copper", "velvet",
)  # fmt: skip
"""Words that may stand after the trigger and never decide."""
