"""The random numbers of src/random.rs in NumPy: those of a training step, so that a peer learns from the same batch and noise."""
import numpy

WORD = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(z):
    """The finaliser of SplitMix64, of an int or of an array of uint64."""
    array = isinstance(z, numpy.ndarray)
    cut = (lambda n: n) if array else (lambda n: n & WORD)
    number = numpy.uint64 if array else int
    z = cut((z ^ (z >> number(30))) * number(0xBF58476D1CE4E5B9))
    z = cut((z ^ (z >> number(27))) * number(0x94D049BB133111EB))
    return z ^ (z >> number(31))


def draws(seed, purpose, index, n):
    """The first `n` draws of 64 bits of a stream."""
    word = 0xCBF29CE484222325
    for byte in purpose.encode():
        word = ((word ^ byte) * 0x100000001B3) & WORD
    run = mix(mix((seed + GAMMA) & WORD) ^ word)
    place = mix(run ^ mix((index + GAMMA) & WORD))
    mask = mix(place ^ GAMMA)
    places = numpy.uint64(place) + numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(GAMMA)
    return mix(mix(places) ^ numpy.uint64(mask))


def below(drawn, bound):
    """A whole number in [0, bound) of a draw."""
    return (int(drawn) * bound) >> 64


def normal(seed, purpose, index, n):
    """`n` standard normal numbers, float32."""
    uniform = (draws(seed, purpose, index, n + n % 2) >> numpy.uint64(11)) / float(1 << 53)
    radius, angle = numpy.sqrt(-2 * numpy.log(1 - uniform[::2])), 2 * numpy.pi * uniform[1::2]
    return numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], 1).reshape(-1)[:n].astype(numpy.float32)


def permutation(seed, purpose, index, n):
    """An order of the numbers 0..n."""
    order = list(range(n))
    for last, drawn in zip(range(n - 1, 0, -1), draws(seed, purpose, index, n - 1)):
        other = below(drawn, last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def step(seed, number, items, batch, levels, size):
    """Which of so many items a step of a denoising training learns from, their time steps and their noise."""
    a_pass = -(-items // batch)
    first = number % a_pass * batch
    chosen = permutation(seed, "order", number // a_pass, items)[first:first + batch]
    times = [below(drawn, levels) for drawn in draws(seed, "times", number, len(chosen))]
    shape = (len(chosen), *size)
    return chosen, times, normal(seed, "noise", number, int(numpy.prod(shape))).reshape(shape)


if __name__ == "__main__":
    # The numbers that the tests of src/random.rs pin.
    assert [int(n) for n in draws(7, "noise", 3, 3)] == [2154391952042078421, 197370546726625038, 14264222408839588854]
    assert numpy.allclose(normal(7, "noise", 3, 5), [0.49725577, 0.03347937, 0.36860362, -1.682878, 1.7252817], rtol=1e-6)
    assert permutation(0, "order", 0, 8) == [7, 2, 4, 5, 0, 3, 6, 1]
    assert [below(n, 1000) for n in draws(0, "times", 1, 4)] == [430, 297, 773, 350]
