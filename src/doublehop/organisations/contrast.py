"""Can it be read? Contrast of colours after WCAG 2; pure functions over ``#rrggbb``."""

import colorsys
import re

HEX = re.compile(r"#[0-9a-f]{6}")
ENOUGH = 4.5
CARD_LIGHT, CARD_DARK = "#ffffff", "#171d26"


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def luminance(colour: str) -> float:
    """0 for black to 1 for white."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def nearest_passing(colour: str, card: str) -> str:
    """The same hue, made darker (on a light card) or lighter (on a dark one) until it can be read there."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    step = -0.01 if luminance(card) > 0.5 else 0.01
    shade = colour
    while contrast(shade, card) < ENOUGH and 0 <= lightness + step <= 1:
        lightness += step
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
        shade = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
    return shade
