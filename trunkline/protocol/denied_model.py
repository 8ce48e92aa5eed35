"""How providers say that they do not have a model, or not for this account. Called by `upstream_error`.

Only their own words count: the code, and how their sentence begins. What follows may quote a client, who must not be
able to have a model taken away from all others. What depends on the request, such as an endpoint or a feature that the
model lacks, is none of this: the next request may go well.
"""

import re

from trunkline.protocol.error_body import ErrorDetails

_CODES = re.compile(
    r"model_?not_?found|model_not_available|model_not_supported|model_decommissioned|model_terms_required"
    r"|model_permission_blocked|unknown_model|invalid_model\b"
    # Azure; DashScope; Volcengine; Zhipu.
    r"|deployment_?not_?found|model\.access_?denied|access_?denied\.unpurchased"
    r"|invalidendpointormodel|modelnotopen|(?:^| )1211(?: |$)"
)

_NAME = r"\S{1,200}"
_MODEL = rf"(?:the |this |requested )*(?:publisher )?model(?: or endpoint)?:? (?:{_NAME} )?"
_GONE = (
    r"(?:does not exist|doesn't exist|not exist|(?:is |was )?not found|is no longer available|has been decommissioned"
    r"|is blocked|is not supported by any provider|requires terms acceptance|access (?:is )?denied|disabled)"
)
_SENTENCES = re.compile(
    # Numbers before a sentence: Zhipu's and DashScope's.
    r"(?:error: |\[\d+\]\[|<\d+> [\w.]+: ?)?(?:"
    rf"{_MODEL}{_GONE}"
    r"|(?:unknown|no such) model\b|invalid model(?: name| id)?(?:[:.]| [`'\"]|$)|模型不存在"
    rf"|models/{_NAME} is not found|{_NAME} is not a valid model id"
    # Anthropic, whose whole sentence this is.
    rf"|model: {_NAME}$"
    r"|the api deployment for this resource does not exist"
    # OpenRouter; what it does not find for a feature is another matter.
    rf"|no endpoints (?:found|available) (?:for {_NAME}\.?$|matching your)"
    # Together, Moonshot, Volcengine.
    r"|unable to access model|not found the model|your account .{0,100}has not activated the model"
    rf"|(?:you|(?:your |the )?(?:project|organization|team|account|workspace|user)(?: {_NAME})?) "
    r"(?:does not|do not|don't) have access to (?:the |this )?model"
    r"|no access to (?:the |this )?model\b|access to (?:the |this )?model (?:is )?denied"
    r")"
)
_ACCESS_DENIED = re.compile(r"\baccess_?denied\b(?!\.)")


def denies_model(details: ErrorDetails) -> bool:
    """Return whether a provider's error says that the model of the call is not to be had from it."""
    if details.param not in {None, "model"}:
        # A model that something else in the request names, such as a tool.
        return False
    sentence = details.message.lower().strip()
    if _CODES.search(details.kind) or _SENTENCES.match(sentence):
        return True
    # DashScope says no more than this where an account may not use a model; a bad key is another code there.
    return sentence.rstrip(".") == "access denied" and _ACCESS_DENIED.search(details.kind) is not None
