"""Numbers of barcodes (GTIN-8, -12, -13, -14).

In: digits. Out: whether their check digit is right. Always: the last digit makes the weighted sum a multiple of ten,
the weights 3 and 1 by turns from the right.
"""

LENGTHS = (8, 12, 13, 14)


def check_digit(digits: str) -> int:
    """Of the digits before it."""
    total = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(digits)))
    return -total % 10


def fault_of(barcode: str) -> str:
    """Why it is no barcode; "": it is one."""
    if not (barcode.isascii() and barcode.isdecimal()) or len(barcode) not in LENGTHS:
        return f"{barcode!r} is no GTIN: 8, 12, 13 or 14 digits"
    wanted = check_digit(barcode[:-1])
    return "" if int(barcode[-1]) == wanted else f"the check digit of {barcode} is not right: it would be {wanted}"
