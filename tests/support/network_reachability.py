"""Who may reach whom: under Kubernetes' NetworkPolicies, and on the networks of a compose file."""

from collections.abc import Iterator
from typing import Any, NamedTuple

Labels = dict[str, str]


class Policies(NamedTuple):
    """The policies of one namespace."""

    every: list[dict[str, Any]]

    def closed(self, labels: Labels) -> bool:
        """Tell whether both directions are denied unless a policy allows them."""
        spoken = {kind for each in self._of(labels) for kind in each["policyTypes"]}
        return spoken == {"Ingress", "Egress"}

    def may_reach(self, source: Labels, target: Labels, port: int) -> bool:
        """Tell whether pods with the labels `source` reach a port of those with `target`."""
        out = self._rules(source, "egress", "to")
        into = self._rules(target, "ingress", "from")
        return _allowed(out, target, port) and _allowed(into, source, port)

    def ports_outside(self, labels: Labels) -> set[int]:
        """Return the ports that can be reached outside the namespace."""
        return {
            port["port"]
            for peers, ports in self._rules(labels, "egress", "to")
            if not peers or any({"ipBlock", "namespaceSelector"} & peer.keys() for peer in peers)
            for port in ports or [{"port": -1}]
        }

    def let_in(self, labels: Labels, namespace: str) -> bool:
        """Tell whether a policy names a port that pods of another namespace may connect to."""
        wanted = {"kubernetes.io/metadata.name": namespace}
        return any(
            "namespaceSelector" in peer and _selects(peer["namespaceSelector"], wanted)
            for peers, _ in self._rules(labels, "ingress", "from")
            for peer in peers
        )

    def _of(self, labels: Labels) -> Iterator[dict[str, Any]]:
        return (
            each["spec"] for each in self.every if _selects(each["spec"]["podSelector"], labels)
        )

    def _rules(self, labels: Labels, way: str, peers: str) -> list[tuple[list[Any], list[Any]]]:
        rules = (rule for each in self._of(labels) for rule in each.get(way, []))
        return [(rule.get(peers, []), rule.get("ports", [])) for rule in rules]


def _allowed(rules: list[tuple[list[Any], list[Any]]], labels: Labels, port: int) -> bool:
    """Tell whether a rule allows pods with these labels. No peers: all; no ports: all."""
    return any(
        (not peers or any(_selects(each["podSelector"], labels) for each in _pods(peers)))
        and (not ports or any(each["port"] == port for each in ports))
        for peers, ports in rules
    )


def _pods(peers: list[Any]) -> Iterator[dict[str, Any]]:
    """Return the peers of the same namespace."""
    return (each for each in peers if "podSelector" in each and "namespaceSelector" not in each)


def _selects(selector: dict[str, Any], labels: Labels) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


class Networks(NamedTuple):
    """A compose file: services of one network reach all ports of each other."""

    compose: dict[str, Any]

    def peers(self, service: str) -> set[str]:
        """Return the services that share a network with one."""
        own = self._of(service)
        return {each for each in self.compose["services"] if own & self._of(each)} - {service}

    def has_a_way_out(self, service: str) -> bool:
        """Tell whether a service reaches addresses outside of its networks."""
        every = self.compose["networks"]
        return any(not (every.get(each) or {}).get("internal") for each in self._of(service))

    def _of(self, service: str) -> set[str]:
        return set(self.compose["services"][service].get("networks", ["default"]))
