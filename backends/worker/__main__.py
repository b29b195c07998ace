"""The worker: one process, one adapter, one device. Started by the launcher; speaks the wire on an inherited socket.

    python -c "from bnspec.backends.worker.__main__ import begin; begin()" FD MODULE:CLASS DEVICE [own]

"own": the adapter was named by the user, so that it may lie in the current folder, which is then last on the path; or it is
PATH/FILE.py:CLASS. Otherwise the current folder is not on the path.

Requests are {"do": "run" | "time" | "kernels" | "roofs" | "devices" | "stop", "number": N, ...}, and a reply has "answers": N. One that
could not be made has "failure", and "no_space" where a disk was full, "device_full" where the device's memory was. The first frame is the worker's hello. It ends with the
process that started it, and says on standard error where it was when a signal ended it. The environment variable ``BNSPEC_PROCESSORS`` ("0,3") restricts the process and its threads to these processors.

Runs in workers: Python 3.8, standard library, NumPy and the framework.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import importlib.util
import os
import platform
import socket
import sys
import traceback
from typing import Any, Dict, List, Tuple

import bnspec
from bnspec.backends.worker.clocks import perf_counter  # before anything of a backend: it keeps the system's clocks
from bnspec.backends.worker.devices import DeviceBroken, DeviceFull
from bnspec.backends.worker.exceptions import NoSpace, described, text_of
from bnspec.backends.worker.lifetime import die_with_parent
from bnspec.backends.worker.wire import PROTOCOL, Channel, Closed, Garbage
from bnspec.contract import Adapter
from bnspec.errors import BnspecError, DeviceAbsent, UsageError

#: Thresholds of Python's collector of cycles in a worker (allocations, then collections of the younger generations).
COLLECTIONS = (50_000, 20, 20)


def load(spec: str, own: bool = False) -> Any:
    """The adapter class of ``package.module:Class``, or of ``path/file.py:Class`` where it is one's own.

    Raises UsageError; ImportError of a framework passes through.
    """
    module_name, _, class_name = spec.rpartition(":")
    if not (module_name and class_name):
        raise UsageError("%r names no class." % spec, "an adapter is package.module:Class.", "add the class.")
    try:
        module = load_file(module_name) if own and module_name.endswith(".py") else load_module(module_name, own)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise UsageError(
                "module %s cannot be found." % module_name,
                "it is not on the worker's import path.",
                "run where it can be imported, or set PYTHONPATH.",
            ) from None
        raise
    if not hasattr(module, class_name):
        raise UsageError(
            "module %s has no %s." % (module_name, class_name),
            "an adapter is a class of a module.",
            "check the spelling.",
        )
    return getattr(module, class_name)


def load_module(name: str, own: bool) -> Any:
    """The module of this name. One's own may lie in the current folder, behind all that is installed."""
    here = os.getcwd()
    if own and here not in sys.path:
        sys.path.append(here)
    return importlib.import_module(name)


def load_file(path: str) -> Any:
    """The module in this file. What lies beside it may be imported by it, behind all that is installed.

    Raises UsageError: there is no such file, or it cannot be read.
    """
    place = os.path.realpath(path)
    if not os.path.isfile(place):
        raise UsageError("%s does not exist." % path, "an adapter of one's own is in a file.", "check the path.")
    try:
        with open(place, "rb"):
            pass
    except OSError as error:
        raise UsageError("%s cannot be read." % path, "%s." % error.strerror, "see to its permissions.") from None
    sys.path.append(os.path.dirname(place))
    name = os.path.splitext(os.path.basename(place))[0]
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)  # for what looks its own module up; it takes no other's place
    spec.loader.exec_module(module)
    return module


def open_adapter(spec: str, device: str, own: bool = False) -> Tuple[Dict[str, Any], Any]:
    """The hello frame and the opened adapter, or None with the reason in the frame."""
    from bnspec.backends.worker.execution import check_contract

    hello: Dict[str, Any] = {
        "hello": PROTOCOL,
        "bnspec": bnspec.__version__,
        "pid": os.getpid(),
        "python": platform.python_version(),
    }
    started = perf_counter()
    try:
        adapter_class = load(spec, own)
        if not (isinstance(adapter_class, type) and issubclass(adapter_class, Adapter)):
            raise UsageError(
                "%s is not a subclass of bnspec.contract.Adapter." % spec,
                "the worker talks to adapters only.",
                "derive the class from it.",
            )
        missing = sorted(getattr(adapter_class, "__abstractmethods__", ()))
        if missing:
            raise UsageError(
                "%s lacks the method(s) %s." % (spec, ", ".join(missing)),
                "the contract in bnspec/contract.py asks for them.",
                "add them to the class.",
            )
        hello["framework"] = adapter_class.framework
        adapter = adapter_class(device)
        hello.update(status="ready", reason="", conventions=adapter.conventions.to_json(), versions=adapter.versions())
        check_contract(adapter)
        hello["ran_on"] = dict(adapter.ran_on())
        if hasattr(adapter, "found"):  # of a kernel: what its file says
            hello["kernel"] = dict(adapter.found())
    except DeviceAbsent as absent:
        return dict(hello, status="absent", reason=absent.what), None
    except UsageError as error:
        return dict(hello, status="malformed", reason=error.what, why=error.why, fix=error.fix), None
    except ImportError as error:
        return dict(hello, status="unavailable", reason="%s: %s" % (type(error).__name__, text_of(error))), None
    except Exception as error:
        try:
            reason = described(error)
        except NoSpace:
            return dict(hello, status="broken", reason="a disk is full", no_space=True), None
        return dict(hello, status="broken", reason=reason), None
    hello["open_seconds"] = perf_counter() - started
    return hello, adapter


def answer(adapter: Any, header: Dict[str, Any], buffers: List[bytes]) -> Tuple[Dict[str, Any], List[bytes]]:
    """The reply to one request."""
    if header["do"] == "run":
        from bnspec.backends.worker.execution import run_case

        return run_case(adapter, header["case"], buffers).header()
    if header["do"] == "time":
        from bnspec.backends.worker.timing import time_case

        return time_case(adapter, header["case"], buffers, header["options"])
    if header["do"] == "kernels":
        from bnspec.backends.worker.timing import kernels_of

        return {"kernels": kernels_of(adapter, header["case"], buffers)}, []
    if header["do"] == "roofs":
        from bnspec.backends.worker.memory_bandwidth import roofs

        return roofs(adapter, header["options"]).to_json(), []
    if header["do"] == "devices":
        return {"devices": dict(type(adapter).devices())}, []
    raise UsageError(
        "the worker does not know %r." % header["do"], "it is no request of the wire.", "install one bnspec everywhere."
    )


def serve(channel: Channel, spec: str, device: str, own: bool = False) -> None:
    """Send the hello, then answer requests until a stop request or the end of the connection."""
    hello, adapter = open_adapter(spec, device, own)
    gc.freeze()  # a framework is a million objects that live as long as the process, and tracing makes many more:
    gc.set_threshold(*COLLECTIONS)  # collected as rarely as this, compiling frameworks take 5 % less time
    channel.send(hello)
    while adapter is not None:
        header, buffers = channel.receive()
        if header["do"] == "stop":
            return
        try:
            reply, data = answer(adapter, header, buffers)
        except NoSpace:
            reply, data = {"failure": "a disk is full", "no_space": True}, []
        except DeviceFull as error:
            reply, data = {"failure": str(error), "device_full": True}, []
        except (BnspecError, DeviceBroken) as error:
            reply, data = {"failure": str(error)}, []
        except Exception:
            reply, data = {"failure": traceback.format_exc()}, []
        channel.send(dict(reply, answers=header.get("number")), data)


def keep_to_processors() -> None:
    """Bind this process to the processors of ``BNSPEC_PROCESSORS`` before a framework counts them."""
    listed = os.environ.get("BNSPEC_PROCESSORS", "")
    if listed and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(number) for number in listed.split(",")})


def main() -> int:
    """Entry point; arguments: socket descriptor, adapter, device, and "own" for an adapter of one's own."""
    die_with_parent()
    faulthandler.enable(all_threads=False)
    keep_to_processors()
    descriptor, spec, device, *own = sys.argv[1:5]
    os.set_inheritable(int(descriptor), False)
    channel = Channel(socket.socket(fileno=int(descriptor)))
    try:
        serve(channel, spec, device, own == ["own"])
    except (Closed, Garbage):
        pass
    return 0


def begin() -> None:
    """Run, and end the process."""
    ended = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended)  # exit at once: shutting down a framework takes up to a second and has no useful effect


if __name__ == "__main__":
    begin()
