"""What is fetched for readers of various habits: how many requests, how many bytes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from flipside_agent import readahead
from flipside_agent.ranges import Range, Ranges, add, missing, total
from flipside_agent.readahead import Begin, Follow, Jump, Plan

KIB, MIB = 1 << 10, 1 << 20
PIECE = 128 * KIB
BUNDLE = 90 * MIB


class Simulation:
    """A fetcher without a network: everything it asks for comes at once."""

    def __init__(self, size: int = BUNDLE, ahead: int = 8 * MIB, held: Ranges = ()) -> None:
        self.plan = Plan(size, ahead)
        self.held = held
        self.streams = 0
        self.jumps = 0
        self.fetched = 0
        self.jumped = 0

    def read(self, offset: int, length: int = PIECE) -> None:
        """Read as RAUC does: wait for it, and go on."""
        wanted = Range(offset, min(offset + length, self.plan.size))
        self.plan = readahead.reading(self.plan, wanted)
        for _ in range(10_000):
            if not missing(self.held, wanted):
                return
            self.step((wanted,))
        raise AssertionError(f"{wanted} never comes")

    def rest(self) -> None:
        """Let it run ahead as far as it wants to."""
        while self.step(()):
            pass

    def step(self, demands: Ranges) -> bool:
        """Make one move, if there is one to be made."""
        match readahead.next_move(self.plan, self.held, demands):
            case None:
                self.plan = readahead.rested(self.plan)
                return False
            case Begin(wanted):
                self.streams += 1
                self.plan = readahead.begun(self.plan, wanted)
            case Follow():
                assert self.plan.stream is not None
                at, stop = self.plan.stream.at, self.plan.stream.stop
                self._keep(Range(at, min(at + PIECE, stop)))
                self.plan = readahead.advanced(self.plan, min(PIECE, stop - at))
            case Jump(wanted):
                self.jumps += 1
                self.jumped += wanted.length
                assert missing(self.held, wanted) == (wanted,), "no jump to what is held"
                self._keep(wanted)
                self.plan = readahead.jumped(self.plan, wanted)
        return True

    def _keep(self, got: Range) -> None:
        assert got.length > 0
        self.fetched += got.length
        self.held = add(self.held, got)


def test_from_front_to_back_is_one_request_and_no_byte_too_many() -> None:
    simulation = Simulation()
    for offset in range(0, BUNDLE, PIECE):
        simulation.read(offset)
        simulation.rest()
    assert (simulation.streams, simulation.jumps) == (1, 0)
    assert simulation.fetched == BUNDLE


def test_looking_at_the_first_bytes_fetches_little() -> None:
    simulation = Simulation()
    simulation.read(0, 4)
    simulation.rest()
    assert simulation.fetched <= 512 * KIB


def test_a_patient_reader_is_run_ahead_of_up_to_the_limit() -> None:
    simulation = Simulation(ahead=8 * MIB)
    for offset in range(0, 10 * MIB, PIECE):
        simulation.read(offset)
    simulation.rest()
    assert total(simulation.held) == 18 * MIB


def test_a_stream_that_rests_goes_on_in_long_strides() -> None:
    simulation = Simulation(ahead=8 * MIB)
    strides = []
    for offset in range(0, 40 * MIB, PIECE):
        before = simulation.fetched
        simulation.read(offset)
        simulation.rest()
        strides.append(simulation.fetched - before)
    settled = strides[len(strides) // 2 :]
    assert {stride for stride in settled if stride} <= set(range(4 * MIB, 5 * MIB))


def test_the_hash_tree_at_the_end_does_not_disturb_the_stream() -> None:
    simulation = Simulation()
    tree = BUNDLE - MIB
    for number, offset in enumerate(range(0, tree, PIECE)):
        simulation.read(offset)
        if number % 4 == 0:  # a hash block of 4 KiB covers 512 KiB
            simulation.read(tree + number // 4 * 4096, 4096)
    assert simulation.streams == 1
    assert simulation.jumps <= 16
    assert simulation.fetched <= BUNDLE + MIB


def test_an_adaptive_update_reads_here_and_there_and_pays_little_more() -> None:
    simulation = Simulation()
    simulation.read(0, 4)
    wanted = 0
    for offset in range(5 * MIB, 85 * MIB, 2 * MIB):
        simulation.read(offset, 40 * KIB)
        simulation.rest()
        wanted += 40 * KIB
    assert simulation.fetched <= 3 * wanted


def test_a_reader_that_moves_elsewhere_for_good_takes_the_stream_along() -> None:
    simulation = Simulation()
    simulation.read(0, 4)
    for offset in range(40 * MIB, 60 * MIB, PIECE):
        simulation.read(offset)
    assert simulation.streams == 2
    assert simulation.jumps <= 5


def test_what_is_held_is_not_fetched_again() -> None:
    held = (Range(0, 30 * MIB), Range(50 * MIB, 60 * MIB))
    simulation = Simulation(held=held)
    for offset in range(0, BUNDLE, PIECE):
        simulation.read(offset)
    assert simulation.fetched == BUNDLE - 40 * MIB
    assert simulation.streams == 2


def test_after_a_break_it_goes_on_where_it_is_waited_for() -> None:
    simulation = Simulation()
    for offset in range(0, 4 * MIB, PIECE):
        simulation.read(offset)
    simulation.plan = readahead.broken(simulation.plan)
    assert not simulation.step(())
    simulation.read(20 * MIB)
    assert simulation.streams == 2


READS = st.lists(st.tuples(st.integers(0, 4 * MIB - 1), st.integers(1, MIB)), max_size=40)


@settings(deadline=None)
@given(READS, st.sampled_from([0, 256 * KIB, 8 * MIB]), st.sets(st.integers(0, 39)))
def test_every_read_is_served_and_nothing_is_fetched_thrice(
    reads: list[tuple[int, int]], ahead: int, breaks: set[int]
) -> None:
    simulation = Simulation(size=4 * MIB, ahead=ahead)
    for number, (offset, length) in enumerate(reads):
        if number in breaks:
            simulation.plan = readahead.broken(simulation.plan)
        simulation.read(offset, length)
        simulation.rest()
    assert simulation.fetched <= total(simulation.held) + simulation.jumped
