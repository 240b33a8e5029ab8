"""optuna-dashboard on a study: its database is kept up to date as long as the page is served."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from modiste.errors import InstallError, StoreError
from modiste.search.mirror import Keeper, open_storage, url_of
from modiste.search.study import Study
from modiste.search.work_folder import Lock
from modiste.serve.access import LOOPBACK_NAMES, host_name

HOST = "127.0.0.1"
# The end is noticed within so long, where nobody asks for anything.
_NOTICED_SECONDS = 0.5


def dashboard(
    study_folder: Path,
    port: int,
    storage: str | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve the page, to this machine alone, until Ctrl-C.

    Args:
        study_folder: Only read, but for ``work/optuna.db``.
        port: Where.
        storage: The URL of the database, if it is to be another.
        started: Called when the page can be asked for.

    Raises:
        InstallError: If optuna-dashboard is not installed.
        StoreError: If the study, the database or the port cannot be used.
    """
    if find_spec("optuna_dashboard") is None:
        raise InstallError(
            "modiste dashboard needs optuna-dashboard, which comes with an extra. Install it:\n"
            "  pip install 'modiste[dashboard]'\n"
            "or, in a checkout:  pip install -c constraints.txt -e '.[dashboard]'"
        )
    from optuna_dashboard import wsgi

    Study(study_folder)  # before anything is made in a folder that is none
    url = storage or url_of(study_folder)
    ended = threading.Event()
    with Lock(study_folder / "work" / "dashboard.lock"):  # whoever else shows it has another port
        keeper = Keeper(study_folder, url)
        keeper.look()
        server = _server(port, _ours_alone(wsgi(open_storage(url))))
        for work, tool in ((_answer_on, server), (_look_on, keeper)):
            threading.Thread(target=work, args=(tool, ended), daemon=True).start()
        started()
        try:
            # Ctrl-C comes to this thread, so requests belong to another: wsgiref would take it for
            # an error of the one that is being answered, and serve on.
            ended.wait()
        except KeyboardInterrupt:
            return
        finally:
            ended.set()


def _answer_on(server: WSGIServer, ended: threading.Event) -> None:
    server.timeout = _NOTICED_SECONDS
    with server:
        while not ended.is_set():
            server.handle_request()


def _look_on(keeper: Keeper, ended: threading.Event) -> None:
    while not ended.wait(keeper.pause_seconds):
        keeper.look()


def _ours_alone(app: Any) -> Any:
    """The same for who calls this machine by a name of its own.

    A browser can be made to ask by a foreign name that was made to point here ("DNS rebinding"),
    and the page deletes studies.
    """

    def answer(request: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if host_name(request.get("HTTP_HOST", "")) in LOOPBACK_NAMES:
            return app(request, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"Ask for http://{HOST}:{request['SERVER_PORT']}/ itself.\n".encode()]

    return answer


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_request(self, code: object = "-", size: object = "-") -> None: ...


def _server(port: int, app: Any) -> WSGIServer:
    try:
        return make_server(HOST, port, app, handler_class=_Quiet)
    except OSError as error:
        raise StoreError(
            f"{HOST}:{port}: cannot be listened on ({error.strerror}). Choose another --port."
        ) from None
