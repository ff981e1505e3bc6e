"""What too little is known about is held back as inconclusive, and not as a failure."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COMMENT = (
    "activated; held_back: it did not pass; inconclusive: too little is known, and its gate holds it back for that; "
    "recorded: something newer, or a pin, kept it from serving"
)


def _allow(*outcomes: str) -> None:
    listed = ", ".join(f"'{outcome}'" for outcome in outcomes)
    op.execute(
        "ALTER TABLE serving.decision DROP CONSTRAINT decision_outcome_check,"
        f" ADD CONSTRAINT decision_outcome_check CHECK (outcome IN ({listed}))"
    )


def upgrade() -> None:
    _allow("activated", "held_back", "inconclusive", "recorded")
    op.execute(f"COMMENT ON COLUMN serving.decision.outcome IS '{_COMMENT}'")


def downgrade() -> None:
    """To older packages, what is inconclusive was held back."""
    op.execute("ALTER TABLE serving.decision DISABLE TRIGGER only_added_to")
    op.execute("UPDATE serving.decision SET outcome = 'held_back' WHERE outcome = 'inconclusive'")
    op.execute("ALTER TABLE serving.decision ENABLE TRIGGER only_added_to")
    _allow("activated", "held_back", "recorded")
