"""What must be known to be answered: plain facts, each table under one frame of words.

No question holds its answer, and none can be worked out from its words.
"""

from typing import NamedTuple


class Facts(NamedTuple):
    """A table of facts: the question with `{}` for the subject, and subject → value.

    `why` says the fact as a sentence, of subject and value. Other values of the table are the
    wrong options, so no subject may have two values in it.
    """

    frame: str
    why: str
    values: dict[str, str]


def _pairs(text: str) -> dict[str, str]:
    """subject:value, separated by commas."""
    return dict(pair.strip().split(":") for pair in text.split(","))


FACTS: dict[str, Facts] = {
    "capitals": Facts(
        "What is the capital of {}?",
        "The capital of {} is {}.",
        _pairs(
            "France:Paris, Germany:Berlin, Italy:Rome, Spain:Madrid, Japan:Tokyo, China:Beijing,"
            " Russia:Moscow, Egypt:Cairo, Greece:Athens, Portugal:Lisbon, Austria:Vienna,"
            " Ireland:Dublin, Sweden:Stockholm, Norway:Oslo, Finland:Helsinki, Denmark:Copenhagen,"
            " Poland:Warsaw, Hungary:Budapest, Cuba:Havana, Canada:Ottawa, Kenya:Nairobi,"
            " Thailand:Bangkok, Turkey:Ankara, Iraq:Baghdad, Iran:Tehran, Peru:Lima,"
            " Belgium:Brussels, England:London, South Korea:Seoul, Argentina:Buenos Aires"
        ),
    ),
    "opposites": Facts(
        "What is the opposite of {}?",
        "The opposite of {} is {}.",
        _pairs(
            "hot:cold, big:small, up:down, fast:slow, high:low, early:late, rich:poor, old:young,"
            " light:dark, hard:soft, happy:sad, wet:dry, full:empty, open:closed, strong:weak,"
            " long:short, day:night, black:white, good:bad, war:peace, winter:summer, love:hate,"
            " left:right, inside:outside, before:after, always:never, true:false, win:lose,"
            " buy:sell, north:south, begin:end, push:pull, near:far,"
            " cheap:expensive, clean:dirty, thick:thin, wide:narrow, deep:shallow, asleep:awake,"
            " alive:dead, first:last, east:west, male:female, friend:enemy, success:failure,"
            " top:bottom, yes:no, heavy:light, smooth:rough, public:private"
        ),
    ),
    "past tenses": Facts(
        "What is the past tense of {}?",
        "The past tense of {} is {}.",
        _pairs(
            "go:went, eat:ate, see:saw, take:took, give:gave, run:ran, come:came, write:wrote,"
            " speak:spoke, break:broke, buy:bought, think:thought, teach:taught, catch:caught,"
            " sing:sang, swim:swam, drink:drank, begin:began, fly:flew, know:knew, grow:grew,"
            " drive:drove, sleep:slept, keep:kept, leave:left, feel:felt, find:found, tell:told,"
            " sell:sold, stand:stood, win:won, lose:lost, meet:met, hold:held, build:built,"
            " send:sent, spend:spent, lend:lent, make:made, say:said, pay:paid, hear:heard,"
            " forget:forgot, choose:chose, steal:stole, freeze:froze, wear:wore, throw:threw,"
            " draw:drew, fall:fell"
        ),
    ),
    "plurals": Facts(
        "What is the plural of {}?",
        "The plural of {} is {}.",
        _pairs(
            "mouse:mice, man:men, woman:women, child:children, foot:feet, tooth:teeth,"
            " goose:geese, person:people, leaf:leaves, knife:knives, wife:wives, life:lives,"
            " wolf:wolves, half:halves, loaf:loaves, thief:thieves, ox:oxen, cactus:cacti"
        ),
    ),
    "symbols": Facts(
        "What is the chemical symbol of {}?",
        "The chemical symbol of {} is {}.",
        _pairs(
            "gold:Au, silver:Ag, iron:Fe, lead:Pb, copper:Cu, sodium:Na, potassium:K, tin:Sn,"
            " mercury:Hg, hydrogen:H, oxygen:O, carbon:C, nitrogen:N, helium:He, calcium:Ca,"
            " zinc:Zn, magnesium:Mg, chlorine:Cl, iodine:I, tungsten:W"
        ),
    ),
    "languages": Facts(
        "What is the main language of {}?",
        "The main language of {} is {}.",
        _pairs(
            "Brazil:Portuguese, Mexico:Spanish, Austria:German, Egypt:Arabic, Japan:Japanese,"
            " France:French, Italy:Italian, Russia:Russian, Poland:Polish, Greece:Greek,"
            " Turkey:Turkish, Sweden:Swedish, Norway:Norwegian, Finland:Finnish, Denmark:Danish,"
            " Hungary:Hungarian, Iran:Persian, Israel:Hebrew, Australia:English, Thailand:Thai,"
            " Vietnam:Vietnamese, Cuba:Spanish, Portugal:Portuguese, Jamaica:English"
        ),
    ),
    "continents": Facts(
        "What is the continent of {}?",
        "The continent of {} is {}.",
        _pairs(
            "Kenya:Africa, Nigeria:Africa, Ghana:Africa, Ethiopia:Africa, Morocco:Africa,"
            " France:Europe, Poland:Europe, Sweden:Europe, Greece:Europe, Ireland:Europe,"
            " Japan:Asia, India:Asia, China:Asia, Thailand:Asia, Vietnam:Asia,"
            " Peru:South America, Chile:South America, Bolivia:South America,"
            " Canada:North America, Mexico:North America"
        ),
    ),
    "colours": Facts(
        "What is the colour of {}?",
        "The colour of {} is {}.",
        _pairs(
            "grass:green, snow:white, coal:black, blood:red, a ripe banana:yellow, milk:white,"
            " a clear sky:blue, an emerald:green, a ruby:red, a sapphire:blue, chocolate:brown,"
            " a flamingo:pink, a raven:black, a lemon:yellow, spinach:green, a polar bear:white"
        ),
    ),
    "sounds": Facts(
        "What is the sound of {}?",
        "The sound of {} is {}.",
        _pairs(
            "a cow:moo, a cat:meow, a dog:bark, a duck:quack, a sheep:baa, a lion:roar,"
            " a pig:oink, a bee:buzz, a crow:caw, an owl:hoot, a frog:croak, a horse:neigh,"
            " a mouse:squeak"
        ),
    ),
    "currencies": Facts(
        "What is the currency of {}?",
        "The currency of {} is the {}.",
        _pairs(
            "Japan:yen, India:rupee, Russia:ruble, Germany:euro, China:yuan, Mexico:peso,"
            " Poland:zloty, Brazil:real, Thailand:baht, Switzerland:franc, South Africa:rand,"
            " Hungary:forint, Israel:shekel, South Korea:won, Vietnam:dong, Canada:dollar,"
            " Sweden:krona, Kuwait:dinar"
        ),
    ),
    "young": Facts(
        "What is the young of {}?",
        "The young of {} is called a {}.",
        _pairs(
            "a cow:calf, a dog:puppy, a cat:kitten, a sheep:lamb, a horse:foal, a pig:piglet,"
            " a goat:kid, a duck:duckling, a goose:gosling, a lion:cub, an owl:owlet,"
            " a kangaroo:joey, a swan:cygnet, a frog:tadpole"
        ),
    ),
}

UNRELATED: dict[str, Facts] = {
    "meanings": Facts(
        "Which word means about the same as {}?",
        "A word for {} is {}.",
        _pairs(
            "big:large, small:little, quick:fast, begin:start, end:finish, angry:mad,"
            " glad:happy, ill:sick, correct:right, wealthy:rich, silent:quiet, intelligent:smart,"
            " reply:answer, shut:close, purchase:buy, speak:talk, jump:leap, gift:present,"
            " afraid:scared, odd:strange, tired:sleepy, difficult:hard, simple:easy, build:make"
        ),
    ),
    "uses": Facts(
        "Which tool would you take to {}?",
        "To {} one takes a {}.",
        _pairs(
            "sew a button on:needle, drive a nail:hammer, dig a hole:shovel, sweep the floor:broom,"
            " write a letter:pen, eat soup:spoon, unlock a door:key, tell the time:clock,"
            " brush your teeth:toothbrush, saw wood:saw, take a photo:camera, measure heat:"
            "thermometer, look at stars:telescope, boil water:kettle, dry your hair:towel,"
            " paint a wall:roller, slice bread:knife, climb a roof:ladder, keep off rain:umbrella,"
            " call a friend:phone"
        ),
    ),
    "places": Facts(
        "Where would you go to {}?",
        "To {} one goes to the {}.",
        _pairs(
            "borrow books:library, see a doctor:hospital, catch a train:station, see a film:cinema,"
            " catch a plane:airport, keep money:bank, learn to read:school, swim in the sea:beach,"
            " see cows milked:farm, see old paintings:museum, see wild animals:zoo,"
            " sleep on a journey:hotel, mail a letter:post office, order a meal:restaurant,"
            " pray:church, be tried by a judge:court, buy bread:bakery, lift weights:gym,"
            " buy medicine:pharmacy, board a ship:harbour"
        ),
    ),
}
