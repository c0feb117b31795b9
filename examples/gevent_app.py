"""gevent: the sync client in greenlets. As in every program with gevent, the patch comes before all other imports."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import gevent  # noqa: E402

from omium_sync import Omium  # noqa: E402


def main(count: int) -> None:
    with Omium() as omium:
        jobs = [gevent.spawn(omium.executions.create, "report", {"day": day}) for day in range(count)]
        gevent.joinall(jobs, raise_error=True)
        print(len({job.value.id for job in jobs}), omium.executions.count(workflow_id="report"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
