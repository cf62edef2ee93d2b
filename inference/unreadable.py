"""Why an image cannot be read: the one refusal of everything that takes pixels."""


class UnreadableFrame(Exception):
    """An image to set aside, with its reason. Trying again cannot help.

    code: one of not_dicom truncated no_pixels not_an_image multi_frame colour
    undecodable too_large blank. reason: a sentence for a person.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason

    def __reduce__(self) -> tuple:
        return UnreadableFrame, (self.code, self.reason)
