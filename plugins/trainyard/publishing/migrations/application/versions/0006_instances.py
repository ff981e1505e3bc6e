"""What each attempt's cluster was asked to have, and what that costs an hour."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COMMENT = (
    "The instances that its cluster was asked to have when it was launched, by role, type and market, with the prices "
    "of that time; null: not launched, or by a package that did not record it"
)


def upgrade() -> None:
    op.execute(
        "ALTER TABLE operations.attempt ADD COLUMN instances jsonb"
        " CONSTRAINT instances_are_a_list CHECK (jsonb_typeof(instances) = 'array')"
    )
    op.execute(f"COMMENT ON COLUMN operations.attempt.instances IS '{COMMENT}'")


def downgrade() -> None:
    op.execute("ALTER TABLE operations.attempt DROP COLUMN instances")
