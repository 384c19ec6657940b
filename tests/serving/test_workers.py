"""The pool that predicts: everything handed in is done, by as many threads as there are, and the warm one first."""

import threading

from rung.serving.workers import WorkerPool
from waiting import LONG, wait_until


def test_everything_is_done_once_though_many_hand_in():
    workers, done, lock = WorkerPool(3, "test"), [], threading.Lock()

    def work(n):
        with lock:
            done.append(n)

    def hand_in(share):
        for n in range(500):
            workers.submit(lambda n=n: work((share, n)))

    handing = [threading.Thread(target=hand_in, args=(share,)) for share in range(4)]
    for thread in handing:
        thread.start()
    for thread in handing:
        thread.join(LONG)
    workers.close()
    assert sorted(done) == [(share, n) for share in range(4) for n in range(500)]


def test_threads_work_beside_each_other():
    workers, meet = WorkerPool(2, "test"), threading.Barrier(3)
    for _ in range(2):
        workers.submit(lambda: meet.wait(LONG))
    meet.wait(LONG)
    workers.close()


def test_one_at_a_time_is_done_by_one_thread():
    workers, by = WorkerPool(4, "test"), []
    for _ in range(50):
        done = threading.Event()
        workers.submit(lambda done=done: (by.append(threading.current_thread().name), done.set()))
        assert done.wait(LONG)
        # It puts itself back on the pile after it has told.
        wait_until(lambda: len(workers._idle) == 4, "all idle", pause=0.0)
    workers.close()
    assert len(set(by[1:])) == 1


def test_closing_does_what_was_handed_in():
    workers, go, done = WorkerPool(1, "test"), threading.Event(), []
    workers.submit(lambda: go.wait(LONG))
    for n in range(20):
        workers.submit(lambda n=n: done.append(n))
    go.set()
    workers.close()
    assert done == list(range(20))
