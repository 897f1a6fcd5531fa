"""What a logged name means: by the words that people use, and never by a guess between two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from isoloss.errors import InputError
from isoloss.runs.columns import ALIASES, squash
from isoloss.runs.rows import short


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOSS = _set("loss losses nll ce xent entropy crossentropy")
_SCALED = {
    "ppl": "perplexity", "perplexity": "perplexity", "bpb": "bpb", "bpc": "bits", "bits": "bits",
    "bpt": "bits",
}  # fmt: skip
"""Words that name another unit than nats."""
_EVAL = _set("eval evaluation val valid validation test dev heldout held")
_OTHER = _set(
    "aux z zloss grad norm scale scaler router balance balancing load kl reg regularization "
    "weight std stderr se var time runtime best min max per second lr ratio mtp"
)
_PLAIN_EVAL = _set(
    "evalloss valloss validloss validationloss lossval losseval lossvalid lossvalidation "
    "devloss heldoutloss validationepochloss vallossepoch evalcrossentropy evalevalloss"
)
_PLAIN_TRAIN = _set(
    "loss trainloss trainingloss losstrain lmloss trainepochloss trainlmloss "
    "traincrossentropy traintrainloss"
)
UPDATES = _set(
    "globalstep trainerglobalstep trainglobalstep numupdates nupdates optimizerstep trainstep "
    "trainingstep"
)
TOKENS = _set(
    "tokens tokensseen seentokens consumedtokens totaltokens ntokens numtokens "
    "numinputtokensseen trainedtokens traintokens trainingtokens processedtokens "
    "tokensprocessed consumedtraintokens tokensconsumed"
)
EXAMPLES = _set(
    "examples samples examplesseen samplesseen seenexamples seensamples consumedsamples "
    "consumedexamples nexamples nsamples consumedtrainsamples"
)
FLOPS = _set("flops flop totalflops trainflops trainingflops totalflos compute totalcompute")
RATES = _set("lr learningrate")
PEAK_RATES = ALIASES["lr"]
SEEDS = ALIASES["seed"]
PARAMETERS = ALIASES["N"] - {"n"}
PLANNED = _set(
    "maxsteps totalsteps trainsteps numtrainsteps numsteps trainiters maxiters totaliters "
    "numiterations trainingsteps totaltrainsteps maxtrainsteps maxupdates totaltrainingsteps "
    "numtrainingsteps"
)
BATCH = _set("globalbatchsize totalbatchsize batchsize trainbatchsize")
BATCH_TOKENS = _set("tokensperstep tokensperbatch batchtokens batchsizetokens")
BATCH_PARTS = _set(
    "gradientaccumulationsteps gradaccumsteps gradaccum accumulategradbatches worldsize "
    "numgpus ngpus numdevices devices dataparallelsize perdevicetrainbatchsize microbatchsize "
    "devicebatchsize"
)
"""Factors of a batch: where one is given, ``batch_size`` may be that of one device."""
CONTEXT = _set(
    "context contextlength contextsize seqlen seqlength sequencelength blocksize maxseqlen "
    "maxseqlength ctx nctx ctxlen"
)
TOKENIZER = _set(
    "tokenizer tokenizername tokenizernameorpath tokenizerpath tokenizerfile vocabfile "
    "vocabsize nvocab"
)
EVAL_SET = _set(
    "evalset evaldata evaldataset evalfile evalpath valset valdata valdataset valfile valpath "
    "validationset validationdata validationdataset validationfile testset testdata"
)


class Ambiguous(InputError):
    """Several metrics could be meant."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def words(name: str) -> list[str]:
    """Words of a name, in lower case.

    Examples
    --------
    >>> words("eval/c4.crossEntropy_loss")
    ['eval', 'c4', 'cross', 'entropy', 'loss']
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name[:300])
    return [word for word in re.split(r"[^a-z0-9]+", spaced.casefold()) if word]


def keys(name: str) -> tuple[str, str]:
    """Keys to look a name up by: the whole, and its last part."""
    return squash(name), squash(re.split(r"[./]", name)[-1])


def means(name: str, known: frozenset[str]) -> bool:
    """Whether a name, or the last part of it, is one of those known."""
    whole, last = keys(name)
    return whole in known or last in known


def is_loss(name: str) -> bool:
    """Whether a metric is a loss in a unit of its own, and no part, bound or scale of one."""
    found = set(words(name))
    glued = squash(name) in _PLAIN_EVAL | _PLAIN_TRAIN
    return not found & _OTHER and (bool(found & _LOSS) or glued)


def unit_in_name(name: str) -> str | None:
    """Return the unit that the name itself states, if it is not that of a loss in nats."""
    return next((_SCALED[word] for word in words(name) if word in _SCALED), None)


def is_eval(name: str) -> bool:
    """Whether a metric was measured on data held out.

    Examples
    --------
    >>> [is_eval(n) for n in ("eval_loss", "valloss", "train/loss", "loss")]
    [True, True, False, False]
    """
    return bool(set(words(name)) & _EVAL) or squash(name) in _PLAIN_EVAL


def plain_class(name: str) -> str:
    """Names of one class are the same measure: the usual words for it, or the very same name."""
    whole = squash(name)
    if whole in _PLAIN_EVAL:
        return "the held-out loss"
    return "the training loss" if whole in _PLAIN_TRAIN else name


def of_use(name: str) -> bool:
    """Whether a curve can be the loss, or say where on an axis it is."""
    if is_loss(name) or unit_in_name(name):
        return True
    known = UPDATES | TOKENS | EXAMPLES | FLOPS | RATES | PARAMETERS
    return means(name, known) or name == "D" or "lr" in words(name)


def choose_metric(names: Iterable[str], metric: str) -> tuple[str | None, list[str]]:
    """Choose the metric of one run; return it, or None, and the others that come near.

    Raises
    ------
    Ambiguous
        Several fit equally.

    Examples
    --------
    >>> choose_metric(["loss", "eval_loss", "grad_norm"], "eval")
    ('eval_loss', [])
    """
    names = list(names)
    if metric in ("eval", "train"):
        side = [n for n in names if is_eval(n) == (metric == "eval")]
        fits = [n for n in side if is_loss(n) and not unit_in_name(n)]
        fits = fits or [n for n in side if unit_in_name(n)]
        plain = [n for n in fits if plain_class(n) != n]
        if len(fits) > 1 and len(plain) == 1:
            return plain[0], [n for n in fits if n != plain[0]]
    else:
        fits = [n for n in names if n == metric] or [n for n in names if fnmatchcase(n, metric)]
    if len(fits) > 1:
        raise Ambiguous(fits)
    return (fits[0], []) if fits else (None, [n for n in names if is_loss(n) or unit_in_name(n)])


_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,40})\}")
_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[kKmMbBtT]?)"
_WILDCARDS = 6


def compile_pattern(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Read a template of run names: ``{N}`` is a number, ``*`` is anything.

    Raises
    ------
    InputError
        No field, a field twice, or more wildcards than are quick to match.

    Examples
    --------
    >>> form, fields = compile_pattern("*-{N}-{D}tok*")
    >>> form.fullmatch("lm-70M-1.4Btok-s1").groups(), fields
    (('70M', '1.4B'), ('N', 'D'))
    """
    parts, fields, at = [], [], 0
    for match in _FIELD.finditer(pattern):
        parts.append(_literal(pattern[at : match.start()]))
        parts.append(_NUMBER)
        fields.append(match[1])
        at = match.end()
    parts.append(_literal(pattern[at:]))
    if not fields or len(set(fields)) < len(fields):
        raise InputError(
            f"pattern {short(pattern)}: name each number once in braces, such as 'lm-{{N}}-{{D}}-*'"
        )
    if pattern.count("*") > _WILDCARDS or len(pattern) > 300:
        raise InputError(f"pattern {short(pattern)}: at most {_WILDCARDS} * and 300 characters")
    return re.compile("".join(parts)), tuple(fields)


def _literal(text: str) -> str:
    return ".*?".join(map(re.escape, text.split("*")))
