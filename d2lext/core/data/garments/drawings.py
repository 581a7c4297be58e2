"""Ten drawings, one for each class, as functions of a pen and of random numbers.

`u(low, high)` is a uniform random number. The order of its calls is part of a drawing:
changing it changes the images of every seed.
"""

import numpy as np


def _top(pen, u, sleeve, angle, half, bottom):
    """A body with two sleeves of length `sleeve`, `angle` radians from the vertical."""
    top, neck, slim = u(1.2, 3), u(2.2, 3.6), u(-0.4, 0.7)
    shoulder = half + u(0, 0.8)
    x, y, wide = 14 - shoulder, top + u(1.2, 2.2), u(3.4, 4.6)
    out, down = np.sin(angle), np.cos(angle)
    cuff = x - sleeve * out + 0.6, y + sleeve * down
    end = wide * 0.75
    inner = cuff[0] + end * down, cuff[1] + end * out
    pen.both((x + 1, y - 0.6), cuff, inner, (x + 2, y + wide + 2), shade=195)
    pen.symmetric(
        (14 - neck, top),
        (x, y),
        (14 - half, y + wide + 1),
        (14 - half + slim, (top + bottom) / 2),
        (14 - half, bottom),
        shade=225,
    )
    armpit = 14 - half, y + wide + 1
    pen.lines((x + 1, y), armpit, shade=120, width=0.6)  # the seams
    if sleeve > 10:
        pen.lines(armpit, inner, shade=40, width=0.8)  # the gaps beside hanging arms
    return top, neck


def _t_shirt(pen, u):
    bottom = u(24, 27)
    top, neck = _top(pen, u, u(4, 8), u(0.5, 0.95), u(5.8, 7.8), bottom)
    pen.oval(14 - neck, top - 2.2, 14 + neck, top + u(1.2, 3), shade=40)
    if u(0, 1) < 0.4:  # a print on the chest
        w, h, y = u(1.5, 4), u(1, 3.5), u(9, 14)
        pen.area(
            *((14 - w, y), (14 + w, y), (14 + w, y + h), (14 - w, y + h)),
            shade=int(u(60, 160)),
        )


def _trouser(pen, u):
    waist, hip, hem = u(3, 4.6), u(3.8, 5.4), u(3.6, 6)
    top, bottom, crotch = u(0.8, 2.2), u(26, 27.4), u(8, 11)
    leg = u(2.2, 3.4)  # width of a leg at the hem
    pen.symmetric(
        (14 - waist, top),
        (14 - hip, top + 5),
        (14 - hem, bottom),
        (14 - max(hem - leg, 0.5), bottom),
        (13.9, crotch),
        shade=220,
    )
    pen.line((14, top), (14, crotch), shade=120, width=0.6)
    pen.line((14 - waist, top + 1.4), (14 + waist, top + 1.4), shade=140, width=0.6)


def _pullover(pen, u):
    bottom = u(23.5, 26.5)
    half = u(5, 6.6)
    top, neck = _top(pen, u, u(17, 21), u(0.14, 0.3), half, bottom)
    pen.oval(14 - neck, top - 1.6, 14 + neck, top + u(0.8, 2.2), shade=110)
    pen.line((14 - half, bottom - 1.8), (14 + half, bottom - 1.8), shade=140, width=0.6)


def _dress(pen, u):
    top, bottom, line = u(0.8, 2.5), u(25.5, 27.4), u(9, 13)
    chest, waist, hem = u(2.8, 4.4), u(2.2, 3.8), u(3.6, 7.6)
    if u(0, 1) < 0.4:  # short sleeves
        long = u(2, 6)
        start = 14 - chest
        pen.both(
            (start + 0.5, top + 0.8),
            (start - 2.5, top + 2 + long),
            (start - 0.6, top + 2.6 + long),
            (start + 0.6, top + 5),
            shade=195,
        )
    pen.symmetric(
        (14 - chest + 1, top),
        (14 - chest + 0.4, top + 3),
        (14 - chest, top + 5),
        (14 - waist, line),
        (14 - (waist + hem) / 2 - u(0, 1), (line + bottom) / 2),
        (14 - hem, bottom),
        shade=220,
    )
    neck = chest - u(1, 1.6)
    pen.oval(14 - neck, top - 2.5, 14 + neck, top + u(1.5, 4), shade=0)
    if u(0, 1) < 0.5:  # a belt
        pen.line((14 - waist, line), (14 + waist, line), shade=110, width=0.9)


def _coat(pen, u):
    bottom, half = u(25, 27.4), u(5, 6.8)
    top, neck = _top(pen, u, u(18, 21.5), u(0.1, 0.26), half, bottom)
    deep = u(2.5, 9)
    pen.area((14 - neck, top), (14 + neck, top), (14, top + deep), shade=70)
    pen.both(
        (14 - neck, top), (14 - neck - 1.4, top + 3.5), (14, top + deep), shade=245
    )
    pen.line((14, top + deep), (14, bottom), shade=60, width=0.8)
    if u(0, 1) < 0.6:  # pockets
        y = u(17, 20)
        for x in (14 - half + 1, 14 + half - 3.6):
            pen.line((x, y), (x + 2.6, y + 0.6), shade=110, width=0.7)


def _sandal(pen, u):
    heel, thick, front = u(0, 8), u(1.2, 2.4), u(1, 3)
    toe_y = u(20, 23)
    back = toe_y - heel  # height of the sole under the heel
    ball = front + 9
    pen.area(
        (front, toe_y),
        (ball, toe_y - 0.3),
        (26, back),
        (26.4, back + thick),
        (ball + 1, toe_y + thick),
        (front + 0.6, toe_y + thick),
        shade=215,
    )
    if heel > 3:
        pen.area(
            (23, back + 1),
            (26.4, back + 1),
            (25.8, toe_y + thick),
            (24.4, toe_y + thick),
            shade=200,
        )
    elif heel > 1.5:  # a wedge
        pen.area(
            (ball, toe_y),
            (26, back),
            (26, toe_y + thick),
            (ball, toe_y + thick),
            shade=185,
        )
    high = u(3.5, 6)
    for _ in range(int(u(1, 3.99))):  # straps over the toes
        x = u(front + 1, ball - 2.5)
        pen.line(
            (x, toe_y),
            (x + 2, toe_y - high),
            (x + 5, toe_y - 0.5),
            shade=int(u(150, 245)),
            width=u(0.8, 1.8),
        )
    ankle = back - u(4, 7)
    pen.line(
        (25.6, back),
        (25.4, ankle),
        (19, ankle + 1.5),
        (17, back + heel * 0.35),
        shade=int(u(150, 235)),
        width=u(0.7, 1.4),
    )


def _shirt(pen, u):
    bottom = u(24, 27)
    if u(0, 1) < 0.3:
        top, neck = _top(pen, u, u(5, 8.5), u(0.4, 0.7), u(5.6, 7.4), bottom)
    else:
        top, neck = _top(pen, u, u(15, 20), u(0.12, 0.34), u(5, 6.8), bottom)
    pen.area((14 - neck, top), (14 + neck, top), (14, top + u(2, 4)), shade=80)
    pen.both(
        (14 - neck, top - 0.8),
        (14 - neck - 0.8, top + 2.6),
        (13.4, top + 3.4),
        shade=250,
    )
    pen.line((14, top + 3), (14, bottom), shade=165, width=0.7)
    for y in np.arange(top + 5, bottom - 1, u(3, 4)):  # buttons
        pen.oval(13.5, y, 14.5, y + 1, shade=70)


def _sneaker(pen, u):
    front, bottom, sole = u(0.8, 2.2), u(19.5, 22.5), u(1.6, 3)
    toe, high, back = u(3.2, 5), u(8, 11), u(6.5, 9.5)
    pen.area(
        (front, bottom - sole),
        (front + 0.8, bottom - sole - toe + 1),
        (front + 5, bottom - sole - toe),
        (15, bottom - high),
        (17.5, bottom - high - 0.6),
        (20, bottom - high + 1.8),
        (23.5, bottom - high + 1.4),
        (26.2, bottom - back - 1.2),
        (26.6, bottom - sole),
        shade=195,
    )
    pen.area(
        (front, bottom - sole),
        (26.8, bottom - sole),
        (26.4, bottom),
        (front + 1, bottom),
        shade=int(u(120, 255)),
    )
    for x in np.arange(9, 15, 2.2):  # laces
        y = bottom - sole - toe - (x - 7) * 0.42
        pen.line((x, y), (x + 1.8, y + 2.2), shade=90, width=0.7)
    if u(0, 1) < 0.6:  # a stripe on the side
        x = u(14, 18)
        pen.line(
            (x, bottom - sole), (x + u(1, 4), bottom - high + 3), shade=245, width=1.3
        )


def _bag(pen, u):
    top, bottom, slant = u(9, 14), u(23, 26.5), u(-1.5, 2)
    half = u(8, 12.6)
    reach, rise = half * u(0.35, 0.85), u(4, 9.5)
    pen.arch(
        14 - reach, top - rise, 14 + reach, top + rise, shade=200, width=u(0.9, 1.8)
    )
    pen.symmetric(
        (14 - half + slant, top),
        (14 - half, bottom - 1),
        (14 - half + 1, bottom),
        shade=215,
    )
    if u(0, 1) < 0.6:  # a flap with its clasp
        y = top + (bottom - top) * u(0.3, 0.6)
        pen.line(
            (14 - half + 1, top + 1),
            (14 - half + 2, y),
            (14 + half - 2, y),
            (14 + half - 1, top + 1),
            shade=110,
            width=0.7,
        )
        pen.oval(13, y - 1, 15, y + 1, shade=250)


def _ankle_boot(pen, u):
    front, bottom, sole = u(0.8, 3.5), u(25, 27.2), u(1, 2.2)
    top, shaft, toe = u(1.5, 8), u(12, 16), u(4, 6)
    heel = u(0, 3.5)
    pen.area(
        (front, bottom - sole),
        (front + 0.8, bottom - sole - toe + 1.5),
        (front + 5, bottom - sole - toe - 0.5),
        (shaft, bottom - u(9, 12)),
        (shaft + u(-0.6, 0.8), top),
        (25, top - u(-0.6, 0.6)),
        (24.6, bottom - 9),
        (26, bottom - sole - heel),
        (19, bottom - sole - heel * 0.6),
        (13, bottom - sole),
        shade=205,
    )
    pen.line(
        (front + 0.5, bottom - sole),
        (14, bottom - sole),
        (19, bottom - sole - heel),
        (25.8, bottom - sole - heel),
        shade=120,
        width=sole,
    )
    pen.area(
        (20.5, bottom - sole - heel),
        (26, bottom - sole - heel),
        (25.4, bottom),
        (21.3, bottom),
        shade=150,
    )
    if u(0, 1) < 0.5:  # laces
        for y in np.arange(top + 2, bottom - 11, 2):
            pen.line((shaft + 0.6, y), (shaft + 3.4, y + 0.8), shade=90, width=0.7)
    else:  # an elastic gusset
        pen.area(
            (18.5, top + 1),
            (21.5, top + 1),
            (20.6, bottom - 9),
            (19.4, bottom - 9),
            shade=120,
        )


CLASSES = [  # in the order of the labels
    _t_shirt,
    _trouser,
    _pullover,
    _dress,
    _coat,
    _sandal,
    _shirt,
    _sneaker,
    _bag,
    _ankle_boot,
]
