"""Fetches umqtt.simple, an sdist that pip cannot install, from pip's index; checks and unpacks it.

fetch_umqtt.py DIRECTORY      leaves DIRECTORY/umqtt/simple.py
"""

import ast
import hashlib
import pathlib
import ssl
import subprocess
import sys
import tarfile
import tempfile

from unearth import PackageFinder
from unearth.fetchers import PyPIClient

REQUIREMENT = "micropython-umqtt.simple==1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"


def pip_settings():
    """pip's configuration as {"index-url": [...], ...}: files, environment, and what holds for
    `install` alone.
    """
    lines = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    settings = {}
    for section in ("global", "install", ":env:"):  # a later one overrides
        for line in lines:
            key, _, value = line.partition("=")
            if key.startswith(section + "."):
                settings[key[len(section) + 1 :]] = ast.literal_eval(value).split()
    return settings


def finder(settings):
    """An index finder that looks where pip would."""
    cafile = settings.get("cert")
    session = PyPIClient(
        trusted_hosts=settings.get("trusted-host", ()),
        verify=ssl.create_default_context(cafile=cafile[0]) if cafile else True,
        timeout=60,
    )
    # Without an index of its own the finder takes the public one, but only while it has no other
    # source.
    found = PackageFinder(session=session, index_urls=settings.get("index-url", ()))
    for url in settings.get("extra-index-url", ()):
        found.add_index_url(url)
    for place in settings.get("find-links", ()):
        found.add_find_links(place)
    return found


def main(directory):
    target = pathlib.Path(directory) / "umqtt" / "simple.py"
    packages = finder(pip_settings())
    match = packages.find_best_match(REQUIREMENT, hashes={"sha256": [SHA256]})
    if match.best is None:
        sys.exit(f"{REQUIREMENT} with sha256 {SHA256} is on none of pip's indexes")
    with tempfile.TemporaryDirectory() as scratch:
        archive = pathlib.Path(scratch) / "sdist.tar.gz"
        with packages.session.get_stream(match.best.link.normalized) as response:
            response.raise_for_status()
            archive.write_bytes(b"".join(response.iter_bytes()))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"{match.best.link}: expected sha256 {SHA256}, found {found}")
        with tarfile.open(archive) as tar:
            name = next(n for n in tar.getnames() if n.endswith("umqtt/simple.py"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(tar.extractfile(name).read())


if __name__ == "__main__":
    main(sys.argv[1])
