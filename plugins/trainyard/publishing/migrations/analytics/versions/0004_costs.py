"""What is told about instances and costs, now that they are known."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# each thing's comment from here on, and the one before
COMMENTS = {
    "COLUMN analytics.training.instances": (
        "What the cluster was asked to have, by role, type and market, with the prices of its launch: of a fleet its "
        "first type, of managed scaling what it begins with; null: there was no cluster, or it is not known",
        "What the cluster was made of: instance types and counts; null: not known",
    ),
    "COLUMN analytics.training.normalized_instance_hours": (
        "Of what the cluster was asked to have, as EMR counts: every hour begun is a whole one; null: not known",
        "As EMR counts them; null: not known",
    ),
    "COLUMN analytics.training.cost_usd": (
        "Estimate: on-demand prices of EC2 and EMR of what the cluster was asked to have, by the second from its "
        "launch to its recorded end, at least a minute; spot counts as on-demand, an upper estimate; null: not known",
        "Estimate by list prices; null: not known",
    ),
}


def upgrade() -> None:
    for thing, (comment, _) in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")


def downgrade() -> None:
    for thing, (_, before) in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{before}'")
