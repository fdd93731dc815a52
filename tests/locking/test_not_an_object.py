"""Something else is given where an object belongs."""

import pytest

from lock_tokens.holding import ahold_lock, hold_lock


@pytest.mark.parametrize("hold", [hold_lock, ahold_lock])
@pytest.mark.parametrize("what", [None, 5, "articles.Article"])
def test_what_is_no_object_and_no_function_is_refused_at_once(hold, what):
    with pytest.raises(TypeError, match=f"This is neither: {what!r}"):
        hold(what)


def test_a_function_must_return_the_object():
    job = hold_lock(lambda: None)(lambda: pytest.fail("it ran"))
    with pytest.raises(TypeError, match="This is neither: None"):
        job()
