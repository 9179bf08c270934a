"""Phone numbers in the international form of E.164."""

import re

import phonenumbers

_TYPED = re.compile(r"(?:\+|00[ -]?)[1-9](?:[ ().\-/]{0,2}[0-9]){4,20}", re.ASCII)


def phone_number(text: str) -> str | None:
    """The number as it is stored, `+4930123456`; None unless the text is one with its country code.

    `00` stands for the plus sign (ITU-T E.123). A number of a national form belongs to no country that
    we know of.
    """
    if _TYPED.fullmatch(text) is None:
        return None
    try:
        number = phonenumbers.parse(re.sub("^00[ -]?", "+", text), None)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:  # nor one without its area code
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
