"""What Schemathesis, in its own process, knows of the site: keys and tokens that are real.

Of the addresses that it makes up itself hardly one would lead to an object.
"""

import json
import os

import schemathesis
from hypothesis import strategies as st

REAL = json.loads(os.environ["LOCK_TOKENS_FUZZ"])


@schemathesis.hook
def before_generate_path_parameters(context, strategy):
    """Let three of four addresses be those of an object, and have a token of its own."""
    names = {parameter.name for parameter in context.operation.path_parameters}
    real = [
        {name: value for name, value in address.items() if name in names}
        for address in REAL["addresses"]
    ]
    return st.one_of(strategy, *[st.sampled_from(real)] * 3)


@schemathesis.hook
def before_generate_query(context, strategy):
    """Ask for objects that there are, among others."""
    if "object_id" not in {parameter.name for parameter in context.operation.query}:
        return strategy
    keys = st.lists(st.sampled_from(REAL["keys"]), min_size=1, max_size=9)
    return st.one_of(strategy, keys.map(lambda these: {"object_id": these}))


@schemathesis.hook
def before_generate_headers(context, strategy):
    """Know the state, or the lock's tag, in every other request that may say so."""
    names = {parameter.name for parameter in context.operation.headers}
    if "If-None-Match" in names:
        return st.one_of(strategy, st.just({"If-None-Match": "*"}))
    if "If-Match" in names:
        tags = st.sampled_from(REAL["tags"])
        dates = st.sampled_from(REAL["dates"])
        return st.one_of(
            strategy,
            tags.map(lambda tag: {"If-Match": tag}),
            dates.map(lambda date: {"If-Unmodified-Since": date}),
        )
    return strategy
