"""Memory that windows leave is given back when much has passed through them, not at each."""

from threading import Thread

from gwsa_qgis.rasters import heap
from gwsa_qgis.rasters.heap import PASSED_THROUGH, HeapKeeper


def test_memory_is_given_back_when_many_bytes_have_passed(monkeypatch):
    calls = []
    monkeypatch.setattr(heap, "give_back", lambda: calls.append(1))
    keeper, seen = HeapKeeper(), []
    for _ in range(9):
        keeper.take_note(PASSED_THROUGH // 4)
        seen.append(len(calls))
    assert seen == [0, 0, 0, 0, 1, 1, 1, 1, 2]  # before a window, when four went before it


def test_threads_do_not_give_back_twice(monkeypatch):
    calls = []
    monkeypatch.setattr(heap, "give_back", lambda: calls.append(1))
    keeper = HeapKeeper()
    keeper.take_note(PASSED_THROUGH)
    threads = [Thread(target=keeper.take_note, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_giving_back_is_harmless_anywhere():
    assert heap.give_back() is None
