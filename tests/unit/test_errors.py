from engine import errors


def test_an_error_survives_the_wire_as_its_own_class() -> None:
    raised = errors.ContextLengthExceeded.of(context=2048, prompt_tokens=3000)
    again = errors.from_info(raised.info)
    assert type(again) is errors.ContextLengthExceeded
    assert again.status == 400
    assert "2048 tokens" in str(again)
    assert "3000 tokens" in str(again)


def test_an_unknown_code_is_an_internal_error() -> None:
    again = errors.from_info(errors.ErrorInfo(code="from_the_future", what="Something new."))
    assert type(again) is errors.InternalError
    assert str(again) == "Something new."
