"""Reconciles an Agent: its revisions, what runs them, and the way to the one that is live."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from datetime import datetime

from switchboard.api.agent import Agent, AgentRevision, AgentTemplate
from switchboard.api.meta import ANNOTATION_AWAITED, API_VERSION, LABEL_AGENT, LABEL_REVISION
from switchboard.api.reasons import AgentReason
from switchboard.controller.contacts import Contacts
from switchboard.controller.context import AGENT, Context
from switchboard.controller.gathering import Gathering
from switchboard.controller.instructions import Instructions
from switchboard.controller.lull import Lull
from switchboard.controller.making import Making
from switchboard.controller.queue import Key
from switchboard.controller.strangers import Strangers
from switchboard.kube import resources
from switchboard.kube.errors import AlreadyExists, Forbidden, Invalid
from switchboard.kube.resources import Object
from switchboard.reconcile import agents, binding, failures, hosts, revisions, routes, secrets, workloads
from switchboard.reconcile.facts import ConnectorFacts
from switchboard.reconcile.outcome import Event, Mend, Problem
from switchboard.reconcile.owners import controlled_by, controller, is_of, whose
from switchboard.reconcile.revisions import Known, Plan, Workload

log = logging.getLogger(__name__)

ROUTES = {kind.kind: kind for kind in (resources.INGRESSES, resources.HTTP_ROUTES)}


class AgentReconciler:
    """Brings an Agent's world to what its manifest says."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._contacts = Contacts(context)
        self._gathering = Gathering()
        self._lull = Lull(context.busy)
        self._making = Making(context)
        self._strangers = Strangers()
        self._names: dict[Key, tuple[object, str]] = {}
        self.instructions = Instructions(context.api, context.enqueue)
        settings = context.settings
        self._platform = workloads.Platform(
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            webhook_cluster_role=settings.webhook_cluster_role,
            public_url=(settings.public_url or "").rstrip("/"),
            allowed_hosts=tuple(settings.allowed_hosts),
            twilio_base_url=settings.twilio_base_url,
            progress_seconds=settings.progress_seconds,
            environment=tuple(sorted({**workloads.tracing(os.environ), **settings.pod_environment}.items())),
        )
        self._routing = routes.Routing(
            settings.route,
            settings.ingress_class,
            tuple(sorted(settings.ingress_annotations.items())),
            settings.ingress_tls_secret,
            settings.gateway,
        )

    async def reconcile(self, key: Key) -> float | None:
        """One pass; safe to be repeated from any half-done step."""
        context = self._context
        agent = context.store.model(Agent, resources.AGENTS, key.namespace, key.name)
        if agent is None or agent.metadata.deletion_timestamp is not None:
            self.instructions.forget(key)
            self._gathering.forget(key)
            self._lull.forget(key)
            self._making.forget(key)
            self._strangers.forget(key)
            self._names.pop(key, None)
            self._contacts.forget(key.namespace)
            return None
        now = context.now()
        template, problem = await self._template(key, agent)
        try:
            plan, known = await self._revisions(agent, template, problem, now)
        except Forbidden as error:
            if error.namespace_terminating:
                return None
            raise
        if not agent.status.conditions:  # what runs it takes a while to be applied
            await self._report_first(agent, plan, known, now)
            agent = context.store.model(Agent, resources.AGENTS, key.namespace, key.name) or agent
        blocked = await self._run(agent, plan, known)
        plan = self._settled(plan, blocked)
        if blocked is None:
            blocked = await self._route(agent, plan, known)
        # What has no Deployment any more may have been stopped halfway.
        halfway = known.revisions.keys() - known.workloads.keys() - {*plan.run}
        for name in (*plan.stop, *sorted(halfway)):
            await self._stop(agent, known.revisions[name], plan)
        for name in plan.drop:  # pods write to a revision: what they said last may keep it
            await context.applier.remove(
                resources.AGENT_REVISIONS, key.namespace, name, owner=agent.metadata.uid, if_unchanged=True
            )
        await self._report_revisions(agent, plan, known, now)
        labelled = context.store.of_agent(resources.DEPLOYMENTS, key.namespace, key.name)
        await context.tell(self._object(agent), self._strangers.found(key, labelled), now)
        return await self._report(agent, plan, known, blocked, now)

    # Revisions

    async def _template(self, key: Key, agent: Agent) -> tuple[AgentTemplate | None, Problem | None]:
        """The template with instructions filled in from the ConfigMap that it names."""
        template = agent.spec.template
        model = template.engine.model
        if model is None or model.instructions_from is None:
            self.instructions.forget(key)
            return template, None
        ref = model.instructions_from.config_map_ref
        field = "spec.template.engine.model.instructionsFrom"
        data = await self.instructions.read(key, ref.name)
        if data is None:
            message = f"{field} names the ConfigMap {ref.name}, which does not exist. Create it."
            return None, Problem(AgentReason.INSTRUCTIONS_MISSING, message, Mend.ARRIVE)
        text = data.get(ref.key)
        if text is None:
            message = f"{field} names the key {ref.key} of the ConfigMap {ref.name}, which has no such key. Add it."
            return None, Problem(AgentReason.INSTRUCTIONS_MISSING, message, Mend.ARRIVE)
        filled = model.model_copy(update={"instructions": text, "instructions_from": None})
        return template.model_copy(update={"engine": template.engine.model_copy(update={"model": filled})}), None

    async def _revisions(
        self, agent: Agent, template: AgentTemplate | None, problem: Problem | None, now: datetime
    ) -> tuple[Plan, Known]:
        """What becomes of the revisions, a new one made if it takes one."""
        while True:
            known = self._known(agent, template, now)
            plan = revisions.plan(
                known,
                template,
                pin=agent.spec.revision,
                limit=agent.spec.revision_history_limit,
                now=now,
                drain_seconds=self._context.settings.drain_seconds,
                problem=problem,
            )
            if plan.create is None or template is None:
                return plan, known
            try:
                await self._context.applier.create(resources.AGENT_REVISIONS, _revision(agent, plan.create, template))
            except AlreadyExists:
                found = await self._context.api.get(resources.AGENT_REVISIONS, plan.create, agent.metadata.namespace)
                self._context.store.put(resources.AGENT_REVISIONS, found)
            except Invalid as error:
                problem, template = Problem(AgentReason.INVALID, f"The template is not valid: {error}"), None
            else:
                told = Event(AgentReason.REVISION_CREATED, f"Saved the template as {plan.create}.")
                await self._context.applier.tell(self._object(agent), told, now)

    def _known(self, agent: Agent, template: AgentTemplate | None, now: datetime) -> Known:
        store, namespace = self._context.store, agent.metadata.namespace
        owned: dict[str, AgentRevision] = {}
        taken: dict[str, str] = {}
        ending: set[str] = set()
        for obj in store.owned_by(resources.AGENT_REVISIONS, namespace, agent.metadata.uid):
            revision = store.read(AgentRevision, resources.AGENT_REVISIONS, obj)
            if obj["metadata"].get("deletionTimestamp"):
                ending.add(obj["metadata"]["name"])
            elif revision is not None:
                owned[revision.metadata.name] = revision
            else:
                taken[obj["metadata"]["name"]] = "cannot be read by this version of the operator"
        name = self._name(agent, template) if template is not None else None
        for wanted in {agent.spec.revision, name} - {None}:
            other = store.get(resources.AGENT_REVISIONS, namespace, str(wanted))
            if other is not None and not is_of(agent.metadata.uid, other):
                taken[str(wanted)] = f"belongs to {whose(other)}"
        running = self._workloads(agent, owned, now)
        return Known(agent.metadata.name, owned, taken, frozenset(ending), running, self._live(agent), name)

    def _name(self, agent: Agent, template: AgentTemplate) -> str:
        """The name of the template's revision. It is a digest, made once for each template."""
        key, metadata = Key(AGENT, agent.metadata.namespace, agent.metadata.name), agent.metadata
        model = template.engine.model
        what = (metadata.uid, metadata.generation, model.instructions if model is not None else None)
        known = self._names.get(key)
        if known is None or known[0] != what:
            known = self._names[key] = what, revisions.revision_name(metadata.name, template)
        return known[1]

    def _workloads(self, agent: Agent, owned: Mapping[str, AgentRevision], now: datetime) -> dict[str, Workload]:
        """What runs the Agent's revisions. Anybody may label a Deployment or a pod as an Agent's."""
        store, namespace = self._context.store, agent.metadata.namespace
        pods: dict[str, list[Object]] = {}
        for pod in store.of_agent(resources.PODS, namespace, agent.metadata.name):
            if controller(pod) is not None:
                pods.setdefault(pod["metadata"]["labels"].get(LABEL_REVISION, ""), []).append(pod)
        found: dict[str, Workload] = {}
        for name, revision in owned.items():
            deployment = store.get(resources.DEPLOYMENTS, namespace, name)
            if deployment is None or deployment["metadata"].get("deletionTimestamp"):
                continue
            if is_of(revision.metadata.uid, deployment):
                found[name] = failures.workload(deployment, pods.get(name, ()), now)
        return found

    def _live(self, agent: Agent) -> str | None:
        """The revision that serves: as the status says, else as the Service leads: backups leave a status out."""
        if agent.status.live_revision is not None:
            return agent.status.live_revision
        name = routes.name_of(agent.metadata.name)
        service = self._context.store.get(resources.SERVICES, agent.metadata.namespace, name)
        if service is None or not is_of(agent.metadata.uid, service):
            return None
        if ANNOTATION_AWAITED in (service["metadata"].get("annotations") or {}):
            return None
        found = (service.get("spec", {}).get("selector") or {}).get(LABEL_REVISION)
        return str(found) if found else None

    # What runs them

    async def _run(self, agent: Agent, plan: Plan, known: Known) -> Problem | None:
        """Applies what runs each revision that has to run; the desired one's trouble is given back."""
        settings = self._context.settings
        log_spec = agents.conversation_log(
            agent, settings.default_log_backend, settings.default_log_secret, settings.default_log_secret_key
        )
        trouble: Problem | None = None
        for name in plan.run:
            revision = known.revisions[name]
            needed = [*secrets.template_uses(revision.spec), *secrets.log_uses(log_spec)]
            uses = [*needed, *self._connector_uses(agent, revision)]
            facts = await self._context.secrets.facts(agent.metadata.namespace, (use.secret for use in uses))
            problem = hosts.problem(revision.spec, settings.engine_hosts)
            problem = problem or secrets.problem(needed, facts, agent.metadata.namespace)
            if problem is None and name not in known.workloads:
                problem = self._incomplete(agent, revision, facts)
            contacts = "" if problem is not None else await self._contacts.ensure(agent.metadata.namespace)
            if isinstance(contacts, Problem):
                problem = contacts
            elif problem is None:
                wanted = workloads.Revision(agent, revision, log_spec, uses, facts, contacts)
                problem = await self._making.ensure(
                    agent,
                    name,
                    (revision.metadata.uid, log_spec, uses, facts, contacts),
                    lambda wanted=wanted: workloads.manifests(wanted, self._platform),  # type: ignore[misc]
                )
                await self._remove_optional(agent, revision)
            if name == plan.desired:
                trouble = problem
        return trouble

    def _incomplete(self, agent: Agent, revision: AgentRevision, facts: secrets.Secrets) -> Problem | None:
        """What a revision waits for before its first pods, for a moment: what is applied with it may be on its way."""
        missing = [it.name for it in revision.spec.connectors if self._connector(agent, it.name) is None]
        missing += [name for name, found in facts.items() if found is None]
        key = Key(AGENT, agent.metadata.namespace, agent.metadata.name)
        left = self._gathering.left(key, revision.metadata.name, missing)
        if left is None:
            return None
        self._context.enqueue(key, left)
        what = f"{revision.metadata.name} waits a moment for {', '.join(sorted(missing))}."
        return Problem(AgentReason.DEPLOYING, what, Mend.WAIT)

    def _connector_uses(self, agent: Agent, revision: AgentRevision) -> list[secrets.Use]:
        """The credentials of the connectors that the revision names, unless another Agent holds them."""
        uses = []
        for route in revision.spec.connectors:
            connector = self._connector(agent, route.name)
            if connector is not None and connector.agent in (None, agent.metadata.name):
                uses.append(secrets.connector_use(route.name, connector.secret))
        return uses

    def _connector(self, agent: Agent, name: str) -> ConnectorFacts | None:
        return self._context.store.connector(agent.metadata.namespace, name)

    async def _remove_optional(self, agent: Agent, revision: AgentRevision) -> None:
        """Removes what an earlier version of the operator, or of its settings, wanted and this one does not."""
        webhook, namespace = revision.spec.webhook, agent.metadata.namespace
        name, uid = revision.metadata.name, revision.metadata.uid
        fewest = webhook.autoscaling.min_replicas if webhook.autoscaling is not None else webhook.replicas
        if webhook.autoscaling is None:
            await self._context.applier.remove(resources.HPAS, namespace, name, owner=uid)
        if fewest <= 1:
            await self._context.applier.remove(resources.PDBS, namespace, name, owner=uid)

    def _settled(self, plan: Plan, blocked: Problem | None) -> Plan:
        """While the wanted revision cannot be run, nothing that runs is stopped."""
        return plan if blocked is None else dataclasses.replace(plan, stop=())

    async def _route(self, agent: Agent, plan: Plan, known: Known) -> Problem | None:
        """Leads the public address to the live revision, or to what will be the first: routes take time to be known."""
        serving = plan.live or plan.desired
        if serving is None or serving not in known.revisions:
            return None
        awaited, addresses = plan.live is None, self._addresses(agent, known.revisions[serving])

        def build() -> list[Object]:
            route = routes.route(agent, addresses, self._routing)
            return [routes.service(agent, serving, awaited=awaited), *([route] if route is not None else ())]

        problem = await self._making.ensure(agent, "", (serving, awaited, addresses), build)
        if not addresses and (kind := ROUTES.get(self._routing.kind)) is not None:
            name = routes.name_of(agent.metadata.name)
            await self._context.applier.remove(kind, agent.metadata.namespace, name, owner=agent.metadata.uid)
        return problem

    def _addresses(self, agent: Agent, revision: AgentRevision) -> dict[str, str]:
        """The public URL of each connector that this Agent answers, or will as soon as it is bound."""
        settings = self._context.settings
        result = {}
        for route in revision.spec.connectors:
            connector = self._connector(agent, route.name)
            if connector is None or connector.agent not in (None, agent.metadata.name):
                continue
            address = binding.public_url(connector.public_url, settings.public_url, settings.allowed_hosts)
            if isinstance(address, str):
                result[route.name] = address
        return result

    async def _stop(self, agent: Agent, revision: AgentRevision, plan: Plan) -> None:
        """Removes what ran a revision."""
        if await self._making.unmake(agent, revision):
            what = f"{revision.metadata.name} has handed everything over to {plan.live} and is stopped."
            told = Event(AgentReason.REVISION_REMOVED, what)
            await self._context.applier.tell(self._object(agent), told, self._context.now())

    # What is said of it

    async def _report_first(self, agent: Agent, plan: Plan, known: Known, now: datetime) -> None:
        """Says at once that it is being deployed. What serves already is said once its route is known to be there:
        its connectors count on that."""
        if plan.live is None:
            await self._report(agent, plan, known, None, now)
        else:
            first = agents.first_status([], agent.metadata.generation, now)
            await self._context.applier.status(resources.AGENTS, self._object(agent), first)

    async def _report_revisions(self, agent: Agent, plan: Plan, known: Known, now: datetime) -> None:
        context, namespace = self._context, agent.metadata.namespace
        current = self._workloads(agent, known.revisions, now)
        for name, revision in known.revisions.items():
            if name in plan.drop:
                continue
            wanted = agents.revision_status(revision, current.get(name), live=plan.live, desired=plan.desired, now=now)
            obj = context.store.get(resources.AGENT_REVISIONS, namespace, name)
            if obj is not None:
                await context.applier.status(resources.AGENT_REVISIONS, obj, wanted.status)

    async def _report(
        self, agent: Agent, plan: Plan, known: Known, blocked: Problem | None, now: datetime
    ) -> float | None:
        context, namespace = self._context, agent.metadata.namespace
        current = self._workloads(agent, known.revisions, now)
        names = {
            route.name
            for name in (plan.live, plan.desired)
            if name is not None and name in known.revisions
            for route in known.revisions[name].spec.connectors
        }
        url = context.settings.public_url
        seen = agents.Seen(
            connectors={name: self._connector(agent, name) for name in names},
            workloads=current,
            url=f"{url.rstrip('/')}/twilio/{namespace}" if url else None,
            blocked=blocked,
        )
        decision = agents.agent_status(agent, plan, seen, now)
        obj = self._object(agent)
        held = self._lull.left(Key(AGENT, namespace, agent.metadata.name), obj, decision.status)
        if held is None:
            await context.applier.status(resources.AGENTS, obj, decision.status)
            await context.tell(obj, decision.events, now)
        return min((it for it in (decision.requeue, held) if it is not None), default=None)

    def _object(self, agent: Agent) -> Object:
        found = self._context.store.get(resources.AGENTS, agent.metadata.namespace, agent.metadata.name)
        if found is None:  # it went while it was being reconciled
            metadata = agent.metadata.manifest()
            return {"apiVersion": API_VERSION, "kind": "Agent", "metadata": metadata, "status": {}}
        return found


def _revision(agent: Agent, name: str, template: AgentTemplate) -> Object:
    metadata = agent.metadata
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentRevision",
        "metadata": {
            "name": name,
            "namespace": metadata.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "switchboard-operator",
                LABEL_AGENT: metadata.name,
            },
            "ownerReferences": [controlled_by(API_VERSION, "Agent", metadata.name, metadata.uid)],
        },
        "spec": template.manifest(),
    }
