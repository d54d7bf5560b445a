"""Values that no setting of a kind may have; the tests fail for a kind that is not here."""

from base64 import b64encode
from typing import Any, Final, Literal, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from selfheal.db import setting_types as forms

# Stands for a password or a key, or a part of one: it may occur in no output.
MARK = "S3cretN0nsense"
NOT_UTF8 = f"{MARK}\udcff"

ADDRESSES = (
    MARK,
    f"postgresql+asyncpg://app:{MARK}@h/x",
    f"jdbc:postgresql://h/x?user=app&password={MARK}",
    f"mysql://app:{MARK}@h/x",
    f"postgresql://app:{MARK}%zz@h/x",
    f"postgresql://app:{MARK}%@h/x",
    f"postgresql://app:a {MARK}@h/x",
    f"postgresql://app:a@{MARK}@h/x",
    f"postgresql://app:{MARK}@@h/x",
    f"postgresql://app:a/{MARK}@h/x",
    f"postgresql://app:12/{MARK}@h/x",
    f"postgresql://app:a?{MARK}/b@h/x",
    f"postgresql://app:{MARK}@[bad/x",
    f"postgresql://app:{MARK}@h:99999/x",
    f"postgresql://app:{MARK}@h:port/x",
    f"postgresql://app:{MARK}@a..b/x",
    f"postgresql://app:{MARK}%ff@h/x",
    f"postgresql://app:{MARK}%00@h/x",
    f"postgresql://app:{MARK}@h/x\n",
    f"postgresql://app@h/x?passwort={MARK}",
    f"host=h password=a {MARK}",
    f"host=h password='{MARK}",
    f"host=h port=x password={MARK}",
)
_HTTP = (
    MARK,
    f"ftp://{MARK}",
    f"http://app:{MARK}@h",
    f"http://h/?key={MARK}",
    f"http://[{MARK}",
    f"http://h:{MARK}",
    "http://h:99999",
    "http://a..b",
    "http://1.2.3.999",
    "http://[::::]",
    "https://",
)
_MODELS = (MARK, f":{MARK}", f"{MARK}:", f"{MARK}: a", f"a:{MARK}\x07")
_KEYS = (f"{MARK}{MARK}{MARK}\n", f" {MARK}{MARK}{MARK}", f"{MARK}{MARK}{MARK}é", f"{MARK}\x07" * 4)
_BY_TYPE: Final[dict[Any, tuple[str, ...]]] = {
    forms.Key: _KEYS,
    forms.PostgresAddress: ADDRESSES,
    forms.SigningSecrets: (MARK, f"whsec_{MARK}", f"whsec_{MARK}é", "whsec_"),
    forms.Headers: (MARK, f"={MARK}", f"a={MARK}%0a", f"a=b,{MARK}", f"a b={MARK}"),
    forms.ModelName: _MODELS,
    forms.ModelNames: (*_MODELS, f"a:b,{MARK}"),
    forms.HttpAddress: _HTTP,
    forms.PublicAddress: (*_HTTP, "https://h/"),
    forms.Origins: (*_HTTP, "https://h/", "https://h,*"),
    forms.Name: (f"{MARK}\n", f"{MARK}\x1b[0m", MARK * 100),
    forms.WebhookAddress: tuple(each for each in _HTTP if "?key=" not in each),
    forms.Command: ("'", f"echo '{MARK}", "   "),
    forms.Folder: ("/dev/null", f"/{MARK * 1000}"),
}
_SECRETS: Final[dict[Any, str]] = {
    forms.Key: MARK * 3,
    forms.PostgresAddress: f"postgresql://app:{MARK}@127.0.0.1:1/x",
    forms.SigningSecrets: f"whsec_{b64encode(MARK.encode() * 2).decode()}",
    forms.Headers: f"authorization={MARK}",
    forms.WebhookAddress: f"https://hooks.example/services/{MARK}",
    forms.Command: f"curl -H {MARK} https://forge.example",
}
_NUMBERS = ("", "many", "nan", "inf", "-inf", "1e999", "9" * 5000, "0x10", MARK)


def secret(field: FieldInfo) -> str:
    """Return a value that a secret setting may have."""
    return next(value for type_, value in _SECRETS.items() if _form(field) in type_.__metadata__)


def _form(field: FieldInfo) -> forms.Form | None:
    return next((each for each in forms.parts(field) if isinstance(each, forms.Form)), None)


def nonsense(field: FieldInfo) -> tuple[str, ...]:
    """Return values that the setting must refuse, at least three."""
    found = list(forms.parts(field))
    if form := _form(field):
        [own] = [values for type_, values in _BY_TYPE.items() if form in type_.__metadata__]
        return (*own, NOT_UTF8)
    if any(get_origin(each) is Literal for each in found) or bool in found:
        return (MARK, "truely", "0.5", "2", NOT_UTF8)
    return tuple(filter(None, (*_NUMBERS, *_beyond(found), NOT_UTF8)))


def _beyond(found: list[Any]) -> tuple[str, ...]:
    """Return a number below the lowest, and one above the highest; both bounds must be there."""
    bounds: dict[type, Any] = {type(each): each for each in found}
    low = bounds[Ge].ge - 1 if Ge in bounds else bounds[Gt].gt
    high = bounds[Le].le + 1
    return str(low), str(high)
