import json

UNIT = "securemcp-okta-gateway"
STATE = f"/var/lib/private/{UNIT}"

start_all()

with subtest("each machine runs the binary of its environment, and is ready without Okta"):
    for machine, environment in [(embedded, "development"), (replica, "example")]:
        machine.wait_for_unit(UNIT)
        machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:8080/readyz", timeout=60)
        health = json.loads(machine.succeed("curl --fail --silent http://127.0.0.1:8080/healthz"))
        assert (health["status"], health["environment"]) == ("ok", environment), health

with subtest("no secret is in the unit, in its environment or in its log"):
    for machine in [embedded, replica]:
        pid = machine.succeed(f"systemctl show --property=MainPID --value {UNIT}").strip()
        seen = machine.succeed(f"systemctl cat {UNIT}; tr '\\0' '\\n' </proc/{pid}/environ; journalctl --unit={UNIT}")
        assert "secret-of-the-test" not in seen and "0123456789abcdef" not in seen, seen

with subtest("the state belongs to the service alone, and outlives a restart"):
    before = embedded.succeed(f"cat {STATE}/gateway.secret")
    assert embedded.succeed(f"stat --format=%a {STATE}").strip() == "700"
    embedded.succeed(f"systemctl restart {UNIT}")
    embedded.wait_until_succeeds("curl --fail --silent http://127.0.0.1:8080/readyz", timeout=60)
    assert embedded.succeed(f"cat {STATE}/gateway.secret") == before

with subtest("on SIGTERM it exits with 0"):
    embedded.succeed(f"systemctl stop {UNIT}")
    result = embedded.succeed(f"systemctl show --property=Result,ExecMainStatus {UNIT}")
    assert "Result=success" in result and "ExecMainStatus=0" in result, result
