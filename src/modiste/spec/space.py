"""What a search may choose from: lists, ranges, and keys that count under a condition only."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Self

from pydantic import Field, model_validator

from modiste.errors import SpecError
from modiste.spec.base import Spec, join
from modiste.spec.match import agrees
from modiste.spec.settings import Settings, undoes

# Numbers that are drawn have so many digits: enough for any hyperparameter, few enough that the
# last bit of a library's logarithm moves no point, and none with it the leaderboard.
DIGITS = 4
# Values of a range that is not listed, but has an end.
MOST_FEW = 1_000
# More values than this are no list.
MOST_LISTED = 100_000
Value = Any


class Choices(Spec):
    """A list of values of any kind.

    Attributes:
        values: Each once. Numbers that rise are in order; all else is without order.
        when: Keys and values under which this key is set at all; a list names alternatives.
    """

    values: tuple[Any, ...] = Field(min_length=1)
    when: Settings = {}

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        check_values(self.values, "values")
        return self

    @property
    def listed(self) -> tuple[Value, ...] | None:
        return self.values

    @property
    def few(self) -> tuple[Value, ...] | None:
        return self.values

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers that rise."""
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return numbers == list(self.values) == sorted(numbers)

    def at(self, share: float) -> Value:
        return self.values[_place(share, len(self.values))]


class Range(Spec):
    """Numbers from `low` to `high`, both included.

    Attributes:
        low, high: The ends, both included.
        log: Drawn on a logarithmic scale.
        integer: Whole numbers only.
        step: Only `low`, `low` + `step` and so on.
        num: Only so many values, evenly spaced on the scale.
        when: As for `Choices`.

    Example:
        >>> Range(low=1e-4, high=1e-1, log=True, num=4).listed
        (0.0001, 0.001, 0.01, 0.1)
        >>> Range(low=32, high=128, step=32, integer=True).listed
        (32, 64, 96, 128)
        >>> Range(low=1e-4, high=1e-2, log=True).at(0.5)
        0.001
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = Field(None, gt=0)
    num: int | None = Field(None, ge=2, le=MOST_LISTED)
    when: Settings = {}

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.low < self.high:
            raise SpecError(f"low: {self.low:g} is not below high, {self.high:g}.")
        if self.log and self.low <= 0:
            raise SpecError(f"low: {self.low:g}; a logarithmic range begins above 0.")
        if self.step and (self.num or self.log):
            other = "num" if self.num else "log"
            raise SpecError(f"step: goes with no `{other}`; `num` spaces values on either scale.")
        if self.integer and any(not float(n).is_integer() for n in self._bounds):
            raise SpecError("low: whole numbers are asked for, so low, high and step must be some.")
        if self.step and (self.high - self.low) / self.step > MOST_LISTED:
            raise SpecError(
                f"step: {self.step:g} makes more than {MOST_LISTED:,} values; take a longer one, "
                "or leave it out."
            )
        return self

    @property
    def _bounds(self) -> tuple[float, ...]:
        return (self.low, self.high, *([self.step] if self.step else []))

    @cached_property
    def listed(self) -> tuple[Value, ...] | None:
        """All its values in rising order; none if they cannot be listed."""
        if self.num:
            return tuple(dict.fromkeys(self._on_scale(i / (self.num - 1)) for i in range(self.num)))
        if self.step:
            count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
            # 0.1 + 2 * 0.1 is 0.30000000000000004; nobody means that.
            values = (float(f"{self.low + i * self.step:.12g}") for i in range(count))
            return tuple(round(value) if self.integer else value for value in values)
        if self.integer and self.high - self.low < MOST_LISTED:
            return tuple(range(int(self.low), int(self.high) + 1))
        return None

    @property
    def is_ordered(self) -> bool:
        return True

    def at(self, share: float) -> Value:
        """The value at a share of the way, 0 to 1; equal shares are equally likely on the scale."""
        if self.integer and not (self.log or self.step or self.num):
            return int(self.low) + _place(share, int(self.high) - int(self.low) + 1)
        if self.step or self.num:
            listed = self.listed
            assert listed is not None
            return listed[_place(share, len(listed))]
        if self.integer:  # each whole number has the half on either side of it
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return int(min(self.high, max(self.low, round(math.exp(low + share * (high - low))))))
        return self._on_scale(share)

    def _on_scale(self, share: float) -> Value:
        if share in (0, 1):
            end = self.high if share else self.low
            return int(end) if self.integer else end
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return self.tidy(math.exp(low + share * (high - low)))
        return self.tidy(self.low + share * (self.high - self.low))

    @property
    def few(self) -> tuple[Value, ...] | None:
        """Its values, if they are listed or their digits leave few of them; else none.

        Example:
            >>> Range(low=0.999, high=0.9993).few, Range(low=0.1, high=0.9).few
            ((0.999, 0.9991, 0.9992, 0.9993), None)
        """
        if self.listed is not None or self.integer or self.low <= 0:  # near 0 there is no end
            return self.listed
        values: list[Value] = [self.low]
        while (value := float(values[-1])) < self.high:
            if len(values) == MOST_FEW:
                return None
            step = 10.0 ** (math.floor(math.log10(value)) + 1 - DIGITS)
            values.append(self.tidy((math.floor(value / step + 1e-9) + 1) * step))
        return tuple(values)

    def tidy(self, value: float) -> Value:
        """A number as it is set: within the range, whole if asked for, with few digits."""
        value = round(value) if self.integer else float(f"{value:.{DIGITS}g}")
        value = min(self.high, max(self.low, value))
        return int(value) if self.integer else value


Domain = Choices | Range


def domain(value: object, where: str) -> Domain:
    """A list, or keys and values with ``low`` and ``high``, or with ``values``.

    Raises:
        SpecError: If it is none of these.
    """
    if isinstance(value, Choices | Range):
        return value
    if isinstance(value, list | tuple):
        return Choices.parse({"values": tuple(value)}, where)
    if isinstance(value, Mapping) and "values" in value:
        return Choices.parse(value, where)
    if isinstance(value, Mapping) and ("low" in value or "high" in value):
        return Range.parse(value, where)
    raise SpecError(
        f"{where}: expected a list of values, a range such as {{low: 0.1, high: 0.5}}, or "
        f"{{values: [...], when: {{KEY: VALUE}}}}; got {value!r}. What is to stand still belongs "
        "beside `search`, not into it."
    )


def identity(settings: Settings) -> str:
    """Equal text, equal point."""
    return json.dumps(settings, sort_keys=True)


def check_values(values: Sequence[Value], where: str) -> None:
    """Values of which each is a choice of its own.

    Raises:
        SpecError: If one can stand in no file, or stands here twice.
    """
    for value in values:
        try:
            identity({"": value})
        except (TypeError, ValueError):
            raise SpecError(
                f"{where}: {value!r} is no number, word, list or mapping; what looks like a date "
                "to YAML is a word in quotes."
            ) from None
    names = [identity({"": value}) for value in values]
    counts = Counter(names)
    twice = [v for n, v in zip(names, values, strict=True) if counts[n] > 1]
    if twice:
        raise SpecError(f"{where}: {twice[0]!r} stands here twice.")


@dataclass(frozen=True)
class Space:
    """Keys and what each may be, in the order in which they are set.

    A point of it holds the keys whose condition is met; others are left as they are.
    """

    domains: Mapping[str, Domain]

    @property
    def is_conditional(self) -> bool:
        return any(found.when for found in self.domains.values())

    @property
    def unordered(self) -> list[str]:
        """Keys whose values have no order, and are more than one."""
        return [
            key
            for key, found in self.domains.items()
            if not found.is_ordered and len(found.listed or ()) > 1
        ]

    @property
    def unlisted(self) -> list[str]:
        """Keys whose values cannot be listed one by one."""
        return [key for key, found in self.domains.items() if found.listed is None]

    @property
    def endless(self) -> list[str]:
        """Keys with more values than anybody would list."""
        return [key for key, found in self.domains.items() if found.few is None]

    def within(self, given: Settings) -> Space:
        """The part of it that is left where some keys are given from outside.

        A key whose condition speaks of one that is never set there is never set either.
        """
        left: dict[str, Domain] = {}
        for key, found in self.domains.items():
            known = {name: value for name, value in found.when.items() if name in given}
            when = {name: value for name, value in found.when.items() if name not in known}
            if is_met(known, given) and all(name in left for name in when):
                left[key] = found.model_copy(update={"when": when})
        return Space(left)

    def active(self, values: Settings) -> Settings:
        """The point behind a value for every key: those whose condition is met."""
        point: Settings = {}
        for key, found in self.domains.items():
            if is_met(found.when, point):
                point[key] = values[key]
        return point

    def at(self, shares: Sequence[float]) -> Settings:
        """The point at a share of the way along each key, 0 to 1, in their order."""
        pairs = zip(self.domains.items(), shares, strict=True)
        return self.active({key: found.at(share) for (key, found), share in pairs})

    @cached_property
    def listed(self) -> tuple[Settings, ...]:
        """All of `points`; nobody may change them."""
        return tuple(self.points())

    def points(self) -> Iterator[Settings]:
        """Every point once, the last key fastest; only of a space with an end."""
        yield from self._points(list(self.domains.items()), {})

    def _points(self, rest: Sequence[tuple[str, Domain]], point: Settings) -> Iterator[Settings]:
        if not rest:
            yield point
            return
        (key, found), *others = rest
        if not is_met(found.when, point):
            yield from self._points(others, point)
            return
        values = found.few
        assert values is not None, f"{key} cannot be listed"
        for value in values:
            yield from self._points(others, {**point, key: value})

    def count(self, limit: int) -> int:
        """How many points there are, counted up to a limit; the limit where none can be told."""
        return limit if self.endless else len(list(islice(self.points(), limit)))

    def samples(self) -> list[Settings]:
        """A few points that together hold each listed value and both ends of each range."""
        ends = {key: _ends(found) for key, found in self.domains.items()}
        number = max((len(values) for values in ends.values()), default=1)
        rows = [
            self.active({key: values[min(i, len(values) - 1)] for key, values in ends.items()})
            for i in range(number)
        ]
        # What a condition hides in those is shown by setting what it asks for.
        for key, found in self.domains.items():
            for value in ends[key] if found.when else ():
                wanted = self._met(key, {name: values[0] for name, values in ends.items()})
                rows.append(self.active({**wanted, key: value}))
        return list({identity(row): row for row in rows}.values())

    def _met(self, key: str, values: Settings) -> Settings:
        """The same values, changed so that the condition of a key is met, if any can meet it."""
        for name, wanted in self.domains[key].when.items():
            values = self._met(name, values)
            listed = self.domains[name].listed or _ends(self.domains[name])
            met = [value for value in listed if is_met({name: wanted}, {name: value})]
            values = {**values, name: met[0]} if met else values
        return values


def is_met(when: Settings, point: Settings) -> bool:
    """Whether a point agrees with a condition; a key that is not set agrees with none."""
    return all(
        key in point and any(agrees(point[key], one) for one in _alternatives(wanted, point[key]))
        for key, wanted in when.items()
    )


def _alternatives(wanted: Any, value: Any) -> Sequence[Any]:
    """A list names several values; of a value that is a list itself, only a list of lists does."""
    if not isinstance(wanted, list | tuple):
        return [wanted]
    is_one = isinstance(value, list | tuple) and not all(
        isinstance(w, list | tuple) for w in wanted
    )
    return [wanted] if is_one else wanted


def check_space(domains: Mapping[str, Domain], given: Sequence[str], where: str) -> None:
    """What keys say of one another.

    Args:
        domains: Of the space.
        given: Keys that are set before any of it.
        where: Where it stands.

    Raises:
        SpecError: If a condition speaks of a key that is not set before, or that never has such a
            value; or if a key would undo an earlier one.
    """
    before: list[str] = list(given)
    for key, found in domains.items():
        for name, wanted in found.when.items():
            if name not in before:
                hint = " It comes later: move it up." if name in domains else ""
                raise SpecError(
                    f"{join(where, key)}.when: {name!r} is no key of this search that is set "
                    f"before.{hint} Known: {', '.join(before) or 'none'}."
                )
            listed = domains[name].listed if name in domains else None
            if listed and not any(is_met({name: wanted}, {name: value}) for value in listed):
                raise SpecError(f"{join(where, key)}.when: {name} is never {wanted!r}.")
        for earlier in before:
            if earlier == key or undoes(key, None, earlier):
                what = "stands in `compare`, too" if earlier == key else f"would undo {earlier!r}"
                raise SpecError(f"{join(where, key)}: {what}. Move it up, or take one of them out.")
        before.append(key)


def _place(share: float, num: int) -> int:
    return min(num - 1, max(0, math.floor(share * num)))


def _ends(found: Domain) -> Sequence[Value]:
    if isinstance(found, Choices):
        return found.values
    return found.at(0.0), found.at(1.0)
