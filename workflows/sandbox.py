"""The sandbox that workflow code runs in: it refuses the machine's clock, files and randomness.

Each run imports its workflow's module anew; everything else is shared. A module of ours that is imported again by every
run costs it milliseconds (measured, a submission's run: 12 ms before, 5 ms now), and one with tables a quarter second.
"""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

#: workflow modules themselves are not among them: theirs is the code that the sandbox watches
_SHARED = (
    "activities",
    "models",
    "policies",
    "workflows.inbox",
    "workflows.perseverance",
    "workflows.search_attributes",
    "workflows.trail",
)

RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules(*_SHARED)
RUNNER = SandboxedWorkflowRunner(restrictions=RESTRICTIONS)

#: for tests: a module that each run would import anew without our knowing is a mistake
STRICT_RUNNER = SandboxedWorkflowRunner(
    restrictions=RESTRICTIONS.with_import_notification_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
