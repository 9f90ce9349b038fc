"""A decoder as the harness sees a model: texts in, log-probabilities out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from components.evaluations.questions import Answer
from mta_lab.errors import UserError
from mta_lab.evaluation.batches import Asking, Decoding
from mta_lab.generation.sampling import Sampling

Answers = Callable[[str, Sequence[Asking]], Sequence[Answer]]
"""answers requests of a kind"""
Further = Callable[[Sequence[int], int, Sampling], Iterator[int]]
"""yields the tokens that follow some, at most so many, up to an end of text, which is left out"""
USUAL_LIMIT = 256  # tokens of a text that a model writes, where a task says none


class HarnessModel(TemplateLM):
    """Answers requests of the harness.

    A text that is too long loses its beginning, and is counted.
    """

    def __init__(self, decoding: Decoding, context: int, answers: Answers, further: Further) -> None:
        """Begin; `answers` reads sequences of at most `context` + 1 tokens, the last one unread."""
        super().__init__()
        self._decoding, self._answers, self._further = decoding, answers, further
        self._asking: Sequence[str] = ()
        self.max_length = context
        self.cut: Counter[str] = Counter()
        """by task, the number of requests that lost their beginning"""
        self.read: Counter[str] = Counter()
        """by task, the number of all requests"""

    @property
    def eot_token_id(self) -> int:
        """Return the token that ends a text; it stands before an empty one."""
        return self._decoding.end_of_text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Return a text as tokens, to which no other token is added."""
        return self._decoding.ids(string)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Return the log-probability of each continuation, and whether it is the likeliest text."""
        self._asking = [request.task_name or "" for request in requests]
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        askings = [
            self._fitted(task, context, answer)
            for task, (_texts, context, answer) in zip(self._asking, requests, strict=True)
        ]
        return [(answer.log_probability, answer.greedy) for answer in self._answers("answers", askings)]

    def _fitted(self, task: str, context: Sequence[int], answer: Sequence[int]) -> Asking:
        """Return a request that the model can read: without its beginning, if it is too long.

        An answer that has become part of the token before it is asked for as that token.
        """
        if not answer:
            context, answer = context[:-1], context[-1:]
        if len(answer) > self.max_length:
            said = f"an answer of {len(answer):,} tokens is longer than the {self.max_length:,} that are read"
            raise UserError(f"{task}: {said}; context={len(answer)} reads more")
        tokens = [*(context or [self.prefix_token_id]), *answer]
        self.read[task] += 1
        self.cut[task] += len(tokens) > self.max_length + 1
        return Asking(tokens[-(self.max_length + 1) :], len(answer))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Return the log-probability of each whole text; each token is predicted once."""
        askings: list[Asking] = []
        sizes = []
        for request in requests:
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            parts = [Asking([*context, *answer], len(answer)) for context, answer in map(make_disjoint_window, windows)]
            sizes.append(len(parts))
            askings += parts
        found = iter(self._answers("texts", askings))
        return [sum(next(found).log_probability for _ in range(size)) for size in sizes]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Return the text that continues each one, up to what the harness says ends it."""
        return [self._written(request.task_name or "", *request.args) for request in requests]

    def _written(self, task: str, prompt: str, how: Mapping[str, Any]) -> str:
        limit, ends = int(how.get("max_gen_toks", USUAL_LIMIT)), how.get("until") or []
        if limit < 1:
            raise UserError(f"{task}: max_gen_toks: got {limit}, allowed: 1 or more")
        if limit >= self.max_length:
            said = f"a text of {limit:,} tokens leaves none of the {self.max_length:,} that are read for its prompt"
            raise UserError(f"{task}: {said}; context={2 * limit} reads more")
        tokens = self.tok_encode(prompt) or [self.prefix_token_id]
        self.read[task] += 1
        self.cut[task] += len(tokens) > self.max_length - limit
        draws = how.get("do_sample", False)
        try:
            sampling = Sampling(temperature=how.get("temperature", 1.0) if draws else 0.0, top_p=how.get("top_p", 1.0))
        except ValueError as error:
            raise UserError(f"{task}: generation_kwargs: {error}") from None
        text, written = "", list[int]()
        for token in self._further(tokens[-(self.max_length - limit) :], limit, sampling):
            written.append(token)
            text = self._decoding.text(written)
            if found := [text.index(end) for end in ([ends] if isinstance(ends, str) else ends) if end and end in text]:
                return text[: min(found)]
        return text
