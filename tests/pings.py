"""Crash pings for tests: one crash in each of the three forms, and hidden words that nothing may keep."""
import copy
import uuid

# Everything that says who sent a ping; none of it may be found anywhere afterwards.
CANARIES = ["canary-client-7f1d", "canary-session-52aa", "canary-profile-90c3", "canary-user-agent-11",
            "/home/canaryuser/", "canary-message-secret", "canary-dropped-key", "canary-crash-id", "canary-email@example.com",
            "canary-site.example", "deadbeefcafe1234"]

MODULES = [
    {"base_address": "0x10000", "end_address": "0x20000", "filename": "app", "version": "1.2", "code_id": "AB12",
     "debug_file": "app.pdb", "debug_id": "44E4EC8C2F41492B9369D6B9A059577C2"},
    {"base_address": "0x7f0000000000", "end_address": "0x7f0000100000", "filename": "libx.so", "debug_file": "libx.so",
     "debug_id": "F1C3BCC0279865FE3058404B2831D9E64"},
]
FRAMES = [{"ip": "0x11234", "module_index": 0, "trust": "context"}, {"ip": "0x7f0000000100", "module_index": 1, "trust": "cfi"}]


def new_id():
    return str(uuid.uuid4())


def native(document_id=None, **changes):
    ping = {
        "document_id": document_id or new_id(), "product": "Firefox", "version": "120.0.1", "build_id": "20231116134553",
        "channel": "release", "os": "Windows", "os_version": "10.0", "arch": "amd64", "process_type": "main",
        "crash_time": "2023-11-20T08:17:00+02:00", "startup_crash": True, "uptime": 12.5, "reason": "MOZ_CRASH(out of luck)",
        "oom_size": 1024,
        "stack_traces": {"crash_type": "EXCEPTION_ACCESS_VIOLATION_READ", "crash_address": "0x10", "crash_thread": 0,
                         "main_module": 0, "modules": copy.deepcopy(MODULES), "threads": [{"frames": copy.deepcopy(FRAMES)}]},
        "metadata": {"TotalPhysicalMemory": "8589934592", "RemoteType": "webIsolated=https://canary-site.example",
                     "HeadlessMode": "1"},
    }
    ping.update(changes)
    return {k: v for k, v in ping.items() if v is not None}


def glean(document_id=None, underscores=False):
    """The same crash as native()."""
    key = (lambda name: name.replace(".", "_")) if underscores else str
    stack = {"crashType": "EXCEPTION_ACCESS_VIOLATION_READ", "crashAddress": "0x10", "crashThread": 0, "mainModule": 0,
             "modules": [{"baseAddress": m["base_address"], "endAddress": m["end_address"], "filename": "/home/canaryuser/" + m["filename"],
                          "version": m.get("version"), "codeId": m.get("code_id"), "debugFile": "C:\\build\\" + m["debug_file"],
                          "debugId": m["debug_id"]} for m in MODULES],
             "threads": [{"frames": [{"ip": f["ip"], "moduleIndex": f["module_index"], "trust": f["trust"]} for f in FRAMES]}]}
    ping = {
        "metrics": {
            "string": {key("crash.app_display_version"): "120.0.1", key("crash.app_build"): "20231116134553",
                       key("crash.app_channel"): "release", key("crash.process_type"): "main",
                       key("crash.moz_crash_reason"): "MOZ_CRASH(out of luck)",
                       key("crash.remote_type"): "webIsolated=https://canary-site.example", "crash.secret": "canary-dropped-key"},
            "quantity": {key("memory.oom_allocation_size"): 1024, key("memory.total_physical"): 8589934592},
            "boolean": {key("crash.startup"): True, key("environment.headless_mode"): True},
            "timespan": {key("crash.uptime"): {"value": 12500, "time_unit": "millisecond"}},
            "datetime": {key("crash.time"): "2023-11-20T08:17+02:00"},
            "object": {key("crash.stack_traces"): stack},
            "uuid": {"crash.id": "canary-crash-id"},
        },
        "client_info": {"client_id": "canary-client-7f1d", "session_id": "canary-session-52aa", "os": "Windows", "os_version": "10.0",
                        "architecture": "x86_64", "app_display_version": "121.0", "app_build": "9", "app_channel": "beta"},
        "ping_info": {"experiments": {"canary-dropped-key": 1}, "seq": 4},
        "product": "Firefox",
    }
    if document_id:
        ping["document_id"] = document_id
    return ping


def legacy(document_id=None, snake=False):
    """The same crash again."""
    stack = {"status": "OK", "crash_info": {"type": "EXCEPTION_ACCESS_VIOLATION_READ", "address": "0x10", "crashing_thread": 0},
             "main_module": 0,
             "modules": [{"base_addr": m["base_address"], "end_addr": m["end_address"], "filename": m["filename"],
                          "version": m.get("version"), "code_id": m.get("code_id"), "debug_file": m["debug_file"],
                          "debug_id": m["debug_id"]} for m in MODULES],
             "threads": [{"frames": copy.deepcopy(FRAMES)}]}
    metadata = {"ProductName": "Firefox", "Version": "120.0.1", "BuildID": "20231116134553", "ReleaseChannel": "release",
                "MozCrashReason": "MOZ_CRASH(out of luck)", "OOMAllocationSize": "1024", "StartupCrash": "1", "UptimeTS": "12.5",
                "TotalPhysicalMemory": "8589934592", "RemoteType": "webIsolated=https://canary-site.example", "HeadlessMode": "1",
                "Email": "canary-email@example.com"}
    payload = {"version": 1, "crashDate": "2023-11-20", "crashTime": "2023-11-20T06:17:00.000Z", "crashId": "canary-crash-id",
               "minidumpSha256Hash": "deadbeefcafe1234", "processType": "main", "stackTraces": stack, "metadata": metadata,
               "sessionId": "canary-session-52aa", "hasCrashEnvironment": True}
    if snake:
        payload["stack_traces"] = payload.pop("stackTraces")
        payload["process_type"] = payload.pop("processType")
        payload["moz_crash_reason"] = metadata.pop("MozCrashReason")
        payload["oom_allocation_size"] = metadata.pop("OOMAllocationSize")
    ping = {"type": "crash", "clientId": "canary-client-7f1d", "profileGroupId": "canary-profile-90c3", "payload": payload,
            "application": {"name": "Firefox", "version": "121.0", "buildId": "9", "channel": "beta", "architecture": "x86-64"},
            "environment": {"system": {"os": {"name": "Windows_NT", "version": "10.0"}}, "profile": {"canary-dropped-key": 1}}}
    if document_id:
        ping["id"] = document_id
    return ping
