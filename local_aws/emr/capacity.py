"""What this machine and the imagined EC2 have for clusters: slots to run steps in, and vCPUs. First come, first served.

A slot is the right to run steps on this machine. A cluster that gets none, or no vCPUs, is in the queue until
somebody gives something back.
"""

from __future__ import annotations

from local_aws.emr.instance_types import vcpus
from local_aws.emr.nodes import purchases
from local_aws.emr.values import Cluster, ClusterId, ClusterState


def vcpus_of(cluster: Cluster) -> int:
    """All instances' together; those whose type's name tells no size count for none."""
    return sum((vcpus(bought.instance_type) or 0) * bought.count for bought in purchases(cluster))


class Capacity:
    """:param vcpus: what all clusters together may have; None: any number"""

    def __init__(self, *, slots: int, vcpus: int | None) -> None:
        self._slots = slots
        self._vcpus = vcpus
        self._slot_holders: set[ClusterId] = set()
        self._vcpus_held: dict[ClusterId, int] = {}
        self._queue: set[ClusterId] = set()
        # those that wait for vCPUs, in turn: a small cluster must not overtake a large one for ever
        self._wants_vcpus: dict[ClusterId, None] = {}
        self._released = False

    @property
    def has_slot(self) -> bool:
        return len(self._slot_holders) < self._slots

    def fits(self, cluster: Cluster) -> bool:
        """Whether a STARTING cluster can have what it needs now. One that cannot has taken its place in the queue."""
        if not self._fits_vcpus(cluster):
            self._wants_vcpus[cluster.cluster_id] = None
            return False
        return not cluster.needs_slot or self.has_slot

    def never_fits(self, cluster: Cluster) -> bool:
        """Whether the cluster asks for more vCPUs than there are at all."""
        return self._vcpus is not None and vcpus_of(cluster) > self._vcpus

    def see(self, cluster: Cluster) -> None:
        """Take note of what the cluster now holds and waits for."""
        self._hold_slot(cluster)
        self._hold_vcpus(cluster)
        cluster_id = cluster.cluster_id
        if cluster.wants_slot_since is not None:
            self._queue.add(cluster_id)
        elif cluster_id in self._queue:
            self._queue.remove(cluster_id)
            if cluster_id in self._wants_vcpus:
                # others waited behind it
                del self._wants_vcpus[cluster_id]
                self._released = True

    def take_released(self) -> set[ClusterId]:
        """Those that wait, if something was given back since the last call."""
        released, self._released = self._released, False
        return set(self._queue) if released else set()

    def _fits_vcpus(self, cluster: Cluster) -> bool:
        if self._vcpus is None:
            return True
        first = next(iter(self._wants_vcpus), cluster.cluster_id)
        return (
            first == cluster.cluster_id and sum(self._vcpus_held.values()) + vcpus_of(cluster) <= self._vcpus
        )

    def _hold_slot(self, cluster: Cluster) -> None:
        if cluster.has_slot:
            self._slot_holders.add(cluster.cluster_id)
        elif cluster.cluster_id in self._slot_holders:
            self._slot_holders.remove(cluster.cluster_id)
            self._released = True

    def _hold_vcpus(self, cluster: Cluster) -> None:
        if self._vcpus is None:
            return
        if cluster.state.is_over:
            self._released |= self._vcpus_held.pop(cluster.cluster_id, None) is not None
        elif cluster.bootstrapping_since is not None and cluster.state is not ClusterState.STARTING:
            self._vcpus_held[cluster.cluster_id] = vcpus_of(cluster)
