"""Whether the endpoints that the environment names are this process's own.

Whoever starts local_aws with `AWS_ENDPOINT_URL` set means that endpoint for every AWS call. Where it is another one,
local_aws was started in a place where calls go elsewhere, perhaps to a real account: it does not start there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

_PREFIX = "AWS_ENDPOINT_URL"


def foreign_endpoints(environment: Mapping[str, str], *, host: str, port: int) -> Iterator[str]:
    """A sentence for each endpoint that is not the one at `host` and `port`.

    :param environment: its `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` are what is looked at
    :param host: where this process listens; "0.0.0.0" is every IPv4 address of this machine, "::" every
        address
    """
    for name, url in sorted(environment.items()):
        is_endpoint = name == _PREFIX or name.startswith(f"{_PREFIX}_")
        if is_endpoint and url and not _is_own(url, host, port):
            yield (
                f"{name} is {url}, which is not this local_aws at http://{host}:{port}; "
                f"unset it, or start with the --host and --port that it names"
            )


def _is_own(url: str, host: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        named, named_port = parts.hostname or "", parts.port or 80
    except ValueError:
        return False
    if parts.scheme != "http" or named_port != port:
        return False
    if named == host:
        return True
    is_localhost = named == "localhost" or named.endswith(".localhost")
    if host in ("", "0.0.0.0"):  # noqa: S104 - compared with, not bound to
        return ":" not in named and (is_localhost or _is_of_this_machine(named))
    if host == "::":
        return is_localhost or _is_of_this_machine(named)
    # an address that is written out is not another one, though both are this machine's
    return is_localhost and host in ("127.0.0.1", "::1", "localhost")


def _is_of_this_machine(name: str) -> bool:
    """Whether every address behind the name is one that this machine can listen on."""
    try:
        addresses = {(family, where[0]) for family, *_, where in socket.getaddrinfo(name, None)}
    except OSError:
        return False
    for family, address in addresses:
        with socket.socket(family) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                return False
    return True
