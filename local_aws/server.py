"""Puts the parts together, keeps them running until a signal, and takes them down in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import uvicorn

from local_aws.connection import BreakableConnection
from local_aws.control import Control
from local_aws.emr.api import EmrApi
from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.front import EmrFront
from local_aws.emr.service import EmrService
from local_aws.emr.store import ClusterStore
from local_aws.faults.book import FaultBook
from local_aws.gateway import Gateway
from local_aws.journal import Journal
from local_aws.own_endpoint import foreign_endpoints
from local_aws.s3 import load_s3, own_client, restore_empty_buckets, shut_out_real_aws
from local_aws.s3_names import NamesAsFiles, sweep_unfinished
from local_aws.settings import Settings
from local_aws.steps.machine import Machine, find_machine
from local_aws.steps.machinery import StepMachinery
from local_aws.steps.sparks import NoSuchSparkError

RESTARTED = "local_aws was stopped while the cluster was live"


class CannotStartError(Exception):
    """Why the server cannot start, for a person."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn raises them again after its shutdown, which would look like a crash."""
        yield


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotStartError."""
    environment = dict(os.environ)
    shut_out_real_aws()
    settings.root.mkdir(parents=True, exist_ok=True)
    with _only_one(settings), _listen(settings) as listener:
        port = listener.getsockname()[1]
        for sentence in foreign_endpoints(environment, host=settings.host, port=port):
            raise CannotStartError(sentence)
        asyncio.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    url = f"http://{_reachable(settings.host)}:{port}"
    client = own_client(url)
    store = ClusterStore(settings.clusters_folder)
    machine = _machine(settings, url, client)
    machinery = StepMachinery(machine, store)
    # before anything else: nothing of an earlier life may still write anywhere
    machinery.stop_everything()
    journal = Journal()
    sweep_unfinished(settings.objects_folder)
    service = EmrService(_control_plane(settings, store, journal), store, machinery)
    control = Control(service, journal)
    gateway = Gateway(
        emr=EmrFront(_api(settings, service, machine), service, journal),
        s3=NamesAsFiles(load_s3(settings.objects_folder)),
        host=settings.host,
        control=control,
    )
    config = uvicorn.Config(
        gateway,
        http=BreakableConnection,
        lifespan="off",
        access_log=False,
        log_level=logging.WARNING,
        log_config=None,
        # a client that reuses a connection must not find it closed under its request
        timeout_keep_alive=300,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(restore_empty_buckets, client, settings.objects_folder)
        service.start()
        sys.stdout.write(f"local_aws is ready on {url} (state in {settings.root}, {settings.slots} slots)\n")
        sys.stdout.flush()
        await serving
    finally:
        service.close(RESTARTED)
        machinery.stop_everything()


def _api(settings: Settings, service: EmrService, machine: Machine) -> EmrApi:
    runs_steps = settings.simulate_seconds is None
    return EmrApi(service, refusals=machine.refusals, runs_steps=runs_steps)


def _machine(settings: Settings, url: str, client: Any) -> Machine:
    try:
        return find_machine(settings, endpoint_url=url, client=client)
    except NoSuchSparkError as problem:
        raise CannotStartError(str(problem)) from problem


def _control_plane(settings: Settings, store: ClusterStore, journal: Journal) -> ControlPlane:
    """The clusters of earlier lives; those that were live then are lost."""
    now = datetime.now(timezone.utc)
    book = FaultBook()
    book.add(settings.faults, now)
    plane = ControlPlane(settings.pace, store.load(), faults=book, watch=journal.see)
    plane.lose_all(RESTARTED, now)
    store.save(plane.take_changed())
    return plane


def _reachable(host: str) -> str:
    """Where this process reaches itself, as a URL writes it."""
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to
    return f"[{own}]" if ":" in own else own


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Two processes on one folder would end each other's steps; the lock goes with the process, however it ends."""
    with (settings.root / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise CannotStartError(
                f"another local_aws uses --root {settings.root}; stop it, or choose another --root"
            ) from problem
        yield


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # the protocol by its number: only then does asyncio switch Nagle's algorithm off, which costs 40 ms an answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # "::" is every address, of IPv4 as well, whatever the system's own default
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as problem:
        listener.close()
        raise CannotStartError(
            f"port {settings.port} on {settings.host} cannot be used: {problem.strerror}; "
            f"stop what listens there, or choose another port with --port"
        ) from problem
    return listener
